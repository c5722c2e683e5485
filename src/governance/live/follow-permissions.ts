import type { Clock } from "../../base/clock.ts";
import { errorMessage } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { Random } from "../../base/random.ts";
import type { Cluster } from "../../cluster/cluster.ts";
import type { PermissionSettings } from "../engine/permission-engine.ts";
import { startPermissionEngine } from "../engine/running-engine.ts";
import { engineInformers, startDeclarationCaches } from "../snapshots/permission-caches.ts";
import type { FollowingSource } from "./live-fleet.ts";
import { SourceListeners } from "./permission-source.ts";

/** What {@link followPermissions} works with. */
export interface FollowPermissionsParts {
  readonly cluster: Cluster;
  readonly settings: PermissionSettings;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** Computes the effective permission graph for answers alone: from the caches by the engine, as the leader does, and writes nothing. */
export function followPermissions(parts: FollowPermissionsParts): FollowingSource {
  const log = parts.log.child({ room: "permission-answers" });
  const caches = startDeclarationCaches({ ...parts, log });
  // The engine waits for each of them; stopped before, nobody is left who would.
  caches.synced.catch(() => {});
  const listeners = new SourceListeners();
  const engine = startPermissionEngine({
    settings: parts.settings,
    informers: engineInformers(caches),
    listener: { cluster: (name) => listeners.tell(name) },
    computedAnew: () => {
      listeners.tell(undefined);
      return Promise.resolve();
    },
    computed: () => {},
    clock: parts.clock,
    log,
    signal: parts.signal,
  });
  log.info({}, "computing the permissions of the fleet for questions: another replica leads");
  caches.snapshots.subscribe(({ object }) => listeners.tell(object.spec.targetCluster));
  const closed = Promise.all([engine.closed, caches.closed]).catch((error: unknown) => {
    if (!parts.signal.aborted) log.error({ error: errorMessage(error) }, "permissions are computed no more here");
  });
  return {
    view: () => engine.view(),
    clusters: caches.clusters,
    snapshots: caches.snapshots,
    subscribe: (listener) => listeners.subscribe(listener),
    closed: closed.then(() => {}),
  };
}

import { NAMESPACES, snapshotName } from "../../api/names.ts";
import type { Clock } from "../../base/clock.ts";
import type { DeclaredGrant } from "../../permissions/decision/trimmed-grants.ts";
import type { LiveCluster, LivePermissions, PublishedVersion } from "../../permissions/fleet/live-permissions.ts";
import { declaredGrants } from "./declared-grants.ts";
import { type PermissionSource, SourceListeners } from "./permission-source.ts";

/** A source that a replica keeps for its own answers, with its end. */
export interface FollowingSource extends PermissionSource {
  readonly closed: Promise<void>;
}

/** What {@link LiveFleet} works with. */
export interface LiveFleetParts {
  /** Starts a graph of this replica's own, which ends with the signal. */
  readonly follow: (signal: AbortSignal) => FollowingSource;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** A replica's own graph is let go of when nobody asked for so long, milliseconds: it takes as much memory as the leader's. */
export const IDLE_MS = 10 * 60_000;

/**
 * The effective permission graph on any replica of the hub (permissions §11.4): the one that the signers work by where they run, and where
 * they do not one of its own, computed from the same objects by the same engine when the first question comes.
 */
export class LiveFleet implements LivePermissions {
  readonly closed: Promise<void>;
  readonly #parts: LiveFleetParts;
  readonly #listeners = new SourceListeners();
  #leading: PermissionSource | undefined;
  #own: { readonly source: FollowingSource; readonly end: AbortController } | undefined;
  /** Ends of graphs that were let go of. */
  #ending: Promise<unknown> = Promise.resolve();
  #askedAtMs = 0;

  constructor(parts: LiveFleetParts) {
    this.#parts = parts;
    this.closed = this.#letGoWhenIdle();
  }

  /** Answers by the signers' graph for as long as they run here. */
  lead(source: PermissionSource, signal: AbortSignal): void {
    if (signal.aborted) return;
    const stop = source.subscribe((cluster) => {
      if (this.#leading === source) this.#listeners.tell(cluster);
      // What this replica computed for itself is let go of once the other one stands.
      if (source.view() !== undefined) this.#dropOwn();
    });
    this.#leading = source;
    this.#listeners.tell(undefined);
    signal.addEventListener(
      "abort",
      () => {
        stop();
        if (this.#leading !== source) return;
        this.#leading = undefined;
        this.#listeners.tell(undefined);
      },
      { once: true },
    );
  }

  of(cluster: string): LiveCluster {
    const { clock } = this.#parts;
    this.#askedAtMs = clock.monotonic();
    const source = this.#source();
    const view = source?.view();
    if (source === undefined || view === undefined || !source.snapshots.hasSynced) return { state: "waiting" };
    const content = view.snapshots.get(cluster);
    if (content === undefined) return { state: isAwaited(source, cluster) ? "waiting" : "unknown" };
    const heardMs = Math.min(source.clusters.lastContactMs ?? 0, source.snapshots.lastContactMs ?? 0);
    const ageMs = Math.max(0, clock.monotonic() - heardMs);
    return { state: "computed", content, published: publishedOf(source, cluster), ageMs };
  }

  declared(cluster: string): Iterable<DeclaredGrant> {
    const view = this.#source()?.view();
    return view === undefined ? [] : declaredGrants(view, cluster);
  }

  subscribe(listener: (cluster: string | undefined) => void): () => void {
    return this.#listeners.subscribe(listener);
  }

  /** The signers' graph once it is computed; until then, and where they do not run, this replica's own. */
  #source(): PermissionSource | undefined {
    if (this.#leading?.view() !== undefined) return this.#leading;
    // About to be computed by the signers: another graph beside it would only make it later.
    if (this.#leading !== undefined && this.#own === undefined) return this.#leading;
    if (this.#own === undefined && !this.#parts.signal.aborted) {
      const end = new AbortController();
      const source = this.#parts.follow(AbortSignal.any([this.#parts.signal, end.signal]));
      source.subscribe((cluster) => this.#listeners.tell(cluster));
      this.#own = { source, end };
    }
    return this.#own?.source;
  }

  #dropOwn(): void {
    const own = this.#own;
    if (own === undefined) return;
    this.#own = undefined;
    own.end.abort(new Error("nobody asks this replica for permissions"));
    this.#ending = Promise.allSettled([this.#ending, own.source.closed]);
    this.#listeners.tell(undefined);
  }

  async #letGoWhenIdle(): Promise<void> {
    const { clock, signal } = this.#parts;
    while (!signal.aborted) {
      await clock.sleep(IDLE_MS, signal).catch(() => {
        // the process stops
      });
      if (clock.monotonic() - this.#askedAtMs >= IDLE_MS) this.#dropOwn();
    }
    this.#dropOwn();
    await this.#ending;
  }
}

/** Registered, and about to be computed. */
function isAwaited({ clusters }: PermissionSource, cluster: string): boolean {
  return clusters
    .list()
    .some(
      ({ metadata, spec }) =>
        metadata.name === cluster && metadata.deletionTimestamp === undefined && spec.role !== "management",
    );
}

function publishedOf({ snapshots }: PermissionSource, cluster: string): PublishedVersion | undefined {
  const object = snapshots.get({ namespace: NAMESPACES.seam, name: snapshotName(cluster) });
  if (object === undefined || object.spec.targetCluster !== cluster) return undefined;
  const { version, epoch = 0, sequence = 0, contentHash = "" } = object.spec;
  // Written before it is signed: only then can a tenant have it.
  return object.status?.signedVersion === version ? { version, epoch, sequence, contentHash } : undefined;
}

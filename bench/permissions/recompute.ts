import { monitorEventLoopDelay } from "node:perf_hooks";
import { systemClock } from "../../src/base/clock.ts";
import { atOnce, inSlices } from "../../src/base/next-turn.ts";
import { PermissionEngine } from "../../src/governance/engine/permission-engine.ts";
import type { PermissionChange, PermissionObject } from "../../src/governance/engine/permission-object.ts";
import type { PermissionListener } from "../../src/governance/engine/permission-view.ts";
import { median } from "../report/statistics.ts";
import { timedSteps } from "./timed-steps.ts";
import { permissionFleet, policy, profile, rule, set, talosCluster } from "./permission-fleet.ts";

/** One kind of change, as the running engine takes it in. */
export interface RecomputeRow {
  readonly what: string;
  /** From the change to the last content, without the time it waits for others, milliseconds. */
  readonly ms: number;
  /** The same in processor time of the thread. */
  readonly processorMs: number;
  /** Profiles that were another afterwards, and clusters whose content was computed. */
  readonly profiles: number;
  readonly clusters: number;
  /** Longest step in processor time: what the event loop is held by at least, milliseconds. */
  readonly longestStepMs: number;
}

/** Computation of the effective permission graph. */
export interface RecomputeFigures {
  readonly clusters: number;
  /** Profiles of each cluster; all of them together are this times `clusters`. */
  readonly profilesPerCluster: number;
  /** Everything, from nothing. */
  readonly full: RecomputeRow;
  readonly rows: readonly RecomputeRow[];
  /** Growth of heap and buffers by the graph, bytes; after garbage collection. */
  readonly graphBytes: number;
  /** Delay of the event loop while everything is looked at again, and at rest, milliseconds; its resolution is 1 ms. */
  readonly loopP99Ms: number;
  readonly loopMaxMs: number;
  readonly idleLoopP99Ms: number;
  readonly idleLoopMaxMs: number;
}

/** As in the running engine. */
const SLICE_MS = 5;
const NANOS_PER_MS = 1e6;
const IDLE_MS = 1_000;

function heldBytes(): number {
  globalThis.gc?.();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** Takes changes in and does all that follows. */
function measured(what: string, engine: PermissionEngine, changes: Iterable<PermissionChange>): RecomputeRow {
  let [profiles, clusters] = [0, 0];
  const listener = { profile: () => profiles++, cluster: () => clusters++ };
  const { ms, processorMs, longestStepMs } = timedSteps(work(engine, changes, listener));
  return { what, ms, processorMs, profiles, clusters, longestStepMs };
}

function* work(
  engine: PermissionEngine,
  changes: Iterable<PermissionChange>,
  listener: PermissionListener,
): Generator<void, void> {
  for (const change of changes) {
    engine.apply(change);
    yield;
  }
  yield* engine.settle(listener);
}

function puts(objects: readonly PermissionObject[]): readonly PermissionChange[] {
  return objects.map((object) => ({ type: "put", object }));
}

/** The same change again and again, medians of what it takes. */
function repeated(
  what: string,
  runs: number,
  engine: PermissionEngine,
  change: (run: number) => readonly PermissionChange[],
): RecomputeRow {
  measured(what, engine, change(1));
  const rows = Array.from({ length: runs }, (_, run) => measured(what, engine, change(run + 2)));
  const of = (figure: (row: RecomputeRow) => number) => median(rows.map(figure));
  return {
    what,
    ms: of(({ ms }) => ms),
    processorMs: of(({ processorMs }) => processorMs),
    profiles: of(({ profiles }) => profiles),
    clusters: of(({ clusters }) => clusters),
    longestStepMs: of(({ longestStepMs }) => longestStepMs),
  };
}

async function loopDelay(work: () => Promise<void>): Promise<{ readonly p99Ms: number; readonly maxMs: number }> {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  await work();
  delay.disable();
  return { p99Ms: delay.percentile(99) / NANOS_PER_MS, maxMs: delay.max / NANOS_PER_MS };
}

/** Single changes beside the computation of the whole fleet, as the leader of the management side runs them. */
export async function recomputeBench(
  runs: number,
  clusters: number,
  profilesPerCluster: number,
): Promise<RecomputeFigures> {
  const fleet = permissionFleet(clusters, profilesPerCluster);
  const engine = new PermissionEngine({ managementCluster: "management" });
  const before = heldBytes();
  const full = measured("everything, from nothing", engine, puts(fleet));
  const graphBytes = heldBytes() - before;
  const name = `c${Math.floor(clusters / 2)}`;
  const home = `seam-tenant-${name}`;
  const names = Array.from({ length: clusters }, (_, i) => `c${i}`);
  const own = (run: number) => profile(home, "p0", "cluster-policy", [name], `claims-${run % 2}`, run);
  const rows = [
    repeated("one profile", runs, engine, (run) => puts([own(run)])),
    repeated("a set of a tenant, declared by every tenth profile", runs, engine, (run) =>
      puts([set(home, "claims-0", [rule("resource-0", run % 2 === 0 ? "pods" : "services")])]),
    ),
    repeated("the policy of a tenant", runs, engine, (run) =>
      // A wider list of clusters changes nothing but what is looked at; no list at all takes every grant.
      puts([policy(home, "cluster-policy", "cluster-maximum", run % 2 === 0 ? [] : [name])]),
    ),
    repeated("a cluster that comes, with its profiles", runs, engine, (run) =>
      run % 2 === 0 ? [{ type: "remove", kind: "TalosCluster", namespace: home, name }] : puts([talosCluster(name)]),
    ),
    repeated("a profile of the fleet, on every cluster", Math.min(runs, 3), engine, (run) =>
      puts([profile("seam-system", "everywhere", "management-policy", names, "claims", run)]),
    ),
    repeated("the ceiling of the fleet: everything rests on it", 1, engine, (run) =>
      puts([set("seam-system", "management-maximum", [rule("*"), { nonResourceURLs: [`/v${run}`], verbs: ["get"] }])]),
    ),
  ];
  const idle = await loopDelay(() => systemClock.sleep(IDLE_MS));
  const busy = await loopDelay(async () => {
    engine.recheck();
    await inSlices(engine.settle(), SLICE_MS, systemClock);
  });
  atOnce(engine.settle());
  return {
    clusters,
    profilesPerCluster,
    full,
    rows,
    graphBytes,
    loopP99Ms: busy.p99Ms,
    loopMaxMs: busy.maxMs,
    idleLoopP99Ms: idle.p99Ms,
    idleLoopMaxMs: idle.maxMs,
  };
}

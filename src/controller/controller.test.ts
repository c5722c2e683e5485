import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { ConfigMap, Event, Lease, Namespace } from "../api/builtin.ts";
import { PackInstalled } from "../api/kinds/pack-installed.ts";
import type { ObjectKey } from "../api/object.ts";
import { ManualClock, systemClock } from "../base/clock.ts";
import { silentLog } from "../base/log.ts";
import { SeededRandom, systemRandom } from "../base/random.ts";
import { ApiStatusError } from "../cluster/api-status-error.ts";
import { type EmbeddedCluster, openEmbeddedCluster } from "../cluster/embedded/embedded-cluster.ts";
import { RecordedMetrics } from "../../test/support/recorded-metrics.ts";
import { startInformer } from "./cache/informer.ts";
import { startController } from "./controller.ts";
import { startEventRecorder } from "./events.ts";
import { installCrds } from "./install-crds.ts";
import { LEASE_DURATION_MS, NotLeading, startLeaderElection } from "./lease.ts";
import { watchSource } from "./source.ts";
import { applyStatus } from "./status.ts";

let directory: string;
let cluster: EmbeddedCluster;
let stop: AbortController;
let clock: ManualClock;
const random = new SeededRandom(7);
const log = silentLog;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "seam-controller-"));
  cluster = await openEmbeddedCluster({ directory, clock: systemClock, random: systemRandom, log });
  await installCrds(cluster, systemClock);
  for (const name of ["seam-tenant-edge", "one", "two"])
    await cluster.create(Namespace, { apiVersion: "v1", kind: "Namespace", metadata: { name } });
});
afterAll(async () => {
  await cluster.close();
  await rm(directory, { recursive: true, force: true });
});
beforeEach(() => {
  stop = new AbortController();
  clock = new ManualClock(Date.now());
});
afterEach(() => stop.abort(new Error("test ends")));

describe("controller", () => {
  it("reconciles every object, retries with backoff, and never one key twice at once", async () => {
    for (const name of ["a", "b"])
      await cluster.create(ConfigMap, { apiVersion: "v1", kind: "ConfigMap", metadata: { name, namespace: "one" } });
    const informer = startInformer({
      cluster,
      type: ConfigMap,
      namespace: "one",
      clock,
      random,
      log,
      signal: stop.signal,
    });
    const running = new Set<string>();
    const metrics = new RecordedMetrics();
    let failures = 2;
    const controller = startController({
      name: "test",
      sources: [watchSource(informer)],
      workers: 4,
      reconcile: async ({ name }: ObjectKey) => {
        if (running.has(name)) throw new Error("two at once");
        running.add(name);
        await cluster.get(ConfigMap, { namespace: "one", name });
        running.delete(name);
        if (name === "a" && failures-- > 0) throw new ApiStatusError(409, "Conflict", "changed meanwhile");
        return { requeueAfterMs: 60_000 };
      },
      metrics,
      clock,
      random,
      log,
      signal: stop.signal,
    });
    const ended = (result: string): number =>
      metrics.counts.get(`controller_runtime_reconcile_total test ${result}`) ?? 0;
    await eventually(async () => {
      await clock.advance(400);
      expect([ended("conflict"), ended("requeue_after")]).toEqual([2, 2]);
    });
    expect(metrics.counts.get("workqueue_retries_total test")).toBe(2);
    await clock.advance(60_000);
    await eventually(() => expect(ended("requeue_after")).toBeGreaterThanOrEqual(4));
    stop.abort(new Error("over"));
    await controller.closed;
    await informer.closed;
    expect(clock.sleeping).toBe(0);
  });
});

describe("a reconciler with a bug", () => {
  it("is isolated to its key and counted; the other keys go on", async () => {
    const metrics = new RecordedMetrics();
    const done: string[] = [];
    const controller = startController({
      name: "buggy",
      sources: [],
      reconcile: ({ name }) => {
        if (name === "bad") throw new TypeError("undefined is not a function");
        done.push(name);
        return Promise.resolve();
      },
      metrics,
      clock,
      random,
      log,
      signal: stop.signal,
    });
    for (const name of ["bad", "good", "better"]) controller.enqueue({ name });
    await eventually(() => expect(done).toEqual(["good", "better"]));
    expect(metrics.counts.get("controller_runtime_reconcile_total buggy error")).toBe(1);
    stop.abort(new Error("over"));
    await controller.closed;
  });
});

describe("applyStatus", () => {
  const key = { namespace: "seam-tenant-edge", name: "hello-edge" };

  it("keeps every writer's part, removes what a writer no longer says, and writes nothing twice", async () => {
    const created = await cluster.create(PackInstalled, {
      apiVersion: "seam.ontai.dev/v1alpha1",
      kind: "PackInstalled",
      metadata: key,
      spec: { clusterPackRef: "hello", version: "v1", targetClusterRef: "edge" },
    });
    const parts = { cluster, clock };
    const signer = await applyStatus(
      parts,
      PackInstalled,
      created,
      { fields: { serial: 3 }, conditions: [{ type: "SigningRefused", status: "False", reason: "PackSigned" }] },
      "signer",
    );
    const both = await applyStatus(
      parts,
      PackInstalled,
      signer,
      {
        fields: { receiptRef: "r", driftSummary: undefined },
        conditions: [
          { type: "Ready", status: "True", reason: "PackDelivered" },
          { type: "Drifted", status: "True", reason: "DriftDetected" },
        ],
      },
      "dispatcher",
    );
    expect(both.status).toMatchObject({ serial: 3, receiptRef: "r" });
    expect(both.status?.conditions?.map(({ type }) => type).toSorted()).toEqual(["Drifted", "Ready", "SigningRefused"]);
    const less = { fields: {}, conditions: [{ type: "Ready", status: "True", reason: "PackDelivered" }] } as const;
    const after = await applyStatus(parts, PackInstalled, both, less, "dispatcher");
    expect(after.status?.receiptRef).toBeUndefined();
    expect(after.status?.serial).toBe(3);
    expect(after.status?.conditions?.map(({ type }) => type).toSorted()).toEqual(["Ready", "SigningRefused"]);
    clock.jumpWall(60_000);
    expect(await applyStatus(parts, PackInstalled, after, less, "dispatcher")).toBe(after);
  });
});

describe("event recorder", () => {
  it("joins equal events, limits the rest per object, and ends when told to", async () => {
    const recorder = startEventRecorder({ cluster, component: "test", clock, random, log, signal: stop.signal });
    const about = await cluster.get(Namespace, { name: "two" });
    for (let i = 0; i < 3; i++) recorder.record(about, "Warning", "Repeated", "the same again");
    for (let i = 0; i < 60; i++) recorder.record(about, "Normal", "Many", `number ${i}`);
    const list = async (reason: string) =>
      (await cluster.list(Event, { namespace: "default" })).items.filter((event) => event.reason === reason);
    await eventually(async () => expect(await list("Repeated")).toMatchObject([{ count: 3 }]));
    await eventually(async () => expect(await list("Many")).toHaveLength(24));
    stop.abort(new Error("over"));
    await recorder.closed;
  });
});

describe("leader election", () => {
  const candidate = (identity: string, signal: AbortSignal, time: ManualClock) =>
    startLeaderElection({ cluster, namespace: "one", name: "lead", identity, clock: time, random, log, signal });

  it("has one leader, passes on at release, and fences a leader that could not renew", async () => {
    const first = new AbortController();
    const a = candidate("a", first.signal, clock);
    await a.lead();
    a.assertFenced();
    const b = candidate("b", stop.signal, clock);
    await eventually(() => expect(clock.sleeping).toBe(2));
    expect(b.leading).toBe(false);
    const lease = await cluster.get(Lease, { namespace: "one", name: "lead" });
    expect(lease.spec?.renewTime).toMatch(/\.\d{6}Z$/);
    first.abort(new Error("over"));
    await a.closed;
    expect(() => a.assertFenced()).toThrow(NotLeading);
    const leading = b.lead();
    await eventually(async () => {
      await clock.advance(500);
      expect(b.leading).toBe(true);
    });
    await leading;
    expect(b.term).toBeGreaterThan(lease.spec?.leaseTransitions ?? 0);
    stop.abort(new Error("over"));
    await b.closed;
  });

  it("is taken over only after its duration by the candidate's own clock, and the old leader then stands fenced", async () => {
    const slow = new ManualClock(Date.now());
    const a = candidate("a", stop.signal, slow);
    await eventually(async () => {
      await slow.advance(500);
      expect(a.leading).toBe(true);
    });
    const b = candidate("b", stop.signal, clock); // sees a lease that is never renewed again: a's clock stands still
    for (let t = 0; t < LEASE_DURATION_MS - 3000; t += 1000) {
      await eventually(() => expect(clock.sleeping).toBe(1));
      await clock.advance(1000);
    }
    expect(b.leading).toBe(false);
    await eventually(async () => {
      await clock.advance(1000);
      expect(b.leading).toBe(true);
    });
    await slow.advance(2500);
    await eventually(() => expect(a.leading).toBe(false));
    expect(() => a.assertFenced()).toThrow(NotLeading);
    stop.abort(new Error("over"));
    await Promise.all([a.closed, b.closed]);
  });
});

function eventually(check: () => Promise<void> | void): Promise<void> {
  return vi.waitFor(check, { timeout: 10_000, interval: 5 });
}

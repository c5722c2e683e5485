import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { EventChain, batchOf } from "../../../../test/support/audit-events.ts";
import { type TestManagementCluster, openManagementCluster } from "../../../../test/support/management-cluster.ts";
import { ConfigMap } from "../../../api/builtin.ts";
import { ManualClock, systemClock } from "../../../base/clock.ts";
import { silentLog } from "../../../base/log.ts";
import { silentMetrics } from "../../../base/metrics.ts";
import { SeededRandom } from "../../../base/random.ts";
import type { HubAuditSink } from "../hub-audit-sink.ts";
import { openSqliteAuditSink } from "../sqlite-audit-sink.ts";
import { MAX_STAGED_BYTES, STAGED_LABEL, readStaged, stagedObject, stagedParts } from "./staged-object.ts";
import { stagingSink } from "./staging-sink.ts";

const PATIENT = { timeout: 20_000, interval: 10 };
const EPOCH = 7n;
let management: TestManagementCluster;
let directory: string;
let inner: HubAuditSink;
let down: boolean;
let clock: ManualClock;
let stop: AbortController;
let sink: ReturnType<typeof stagingSink>;

beforeAll(async () => {
  management = await openManagementCluster();
});
afterAll(() => management.close());

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "staging-"));
  inner = await openSqliteAuditSink({ path: join(directory, "audit.db"), clock: systemClock });
  down = false;
  clock = new ManualClock();
  sink = replica();
});

afterEach(async () => {
  stop.abort();
  await sink.closed;
  await inner.close();
  await rm(directory, { recursive: true });
  for (const name of await staged()) await management.cluster.delete(ConfigMap, { namespace: "seam-system", name });
});

/** A replica of the hub over the same store and cluster. */
function replica(limits?: { readonly perCluster: number; readonly all: number }) {
  stop = new AbortController();
  const guarded: HubAuditSink = {
    ...inner,
    append: (cluster, batch) => (down ? Promise.reject(new Error("away")) : inner.append(cluster, batch)),
    position: (cluster, epoch) => (down ? Promise.reject(new Error("away")) : inner.position(cluster, epoch)),
    state: () => (down ? { ok: false, sinceMs: 0, detail: "away" } : { ok: true }),
  };
  return stagingSink(guarded, {
    cluster: management.cluster,
    clock,
    random: new SeededRandom(1),
    log: silentLog,
    metrics: silentMetrics,
    ...(limits !== undefined && { limits }),
    signal: stop.signal,
  });
}

async function staged(): Promise<readonly string[]> {
  const selected = { namespace: "seam-system", labelSelector: `${STAGED_LABEL}=true` };
  return (await management.cluster.list(ConfigMap, selected)).items.map(({ metadata }) => metadata.name).sort();
}

async function stored(): Promise<readonly bigint[]> {
  const { events } = await inner.scan({ filter: {}, order: "oldest", position: undefined, limit: 500 });
  return events.map(({ sequence }) => sequence);
}

describe("staging sink", () => {
  const { events } = new EventChain().addMany(9);
  const part = (from: number, to: number) => batchOf(EPOCH, events.slice(from - 1, to));

  it("acknowledges what it staged while the store is away, and stores it before anything that follows", async () => {
    await sink.position("t1", EPOCH);
    await sink.append("t1", part(1, 2));
    down = true;
    expect(await sink.append("t1", part(3, 4))).toEqual({ contiguousThrough: 4n, highest: 4n, rejected: [] });
    expect(await sink.append("t1", part(4, 6))).toEqual({ contiguousThrough: 6n, highest: 6n, rejected: [] });
    expect(await staged()).toEqual(["fed-audit-t1-7-3-4", "fed-audit-t1-7-4-6"]);
    expect(await stored()).toEqual([1n, 2n]);
    down = false;
    expect(await sink.append("t1", part(7, 7))).toMatchObject({ contiguousThrough: 7n, highest: 7n });
    expect(await staged()).toEqual([]);
    expect(await stored()).toEqual([1n, 2n, 3n, 4n, 5n, 6n, 7n]);
    const [chain] = await inner.chains("t1");
    if (chain === undefined) throw new Error("no chain");
    expect((await inner.verify(chain, stop.signal)).state).toMatchObject({ verified: 7n, breaks: 0 });
  });

  it("tells no position that lacks what another replica has staged", async () => {
    await sink.position("t1", EPOCH);
    down = true;
    await sink.append("t1", part(1, 5));
    stop.abort();
    await sink.closed;
    sink = replica();
    await expect(sink.position("t1", EPOCH)).rejects.toThrow("away");
    down = false;
    expect(await sink.position("t1", EPOCH)).toMatchObject({ contiguousThrough: 5n, highest: 5n });
    expect(await staged()).toEqual([]);
  });

  it("stores what is staged by itself when the store is back", async () => {
    await sink.position("t1", EPOCH);
    await sink.position("t2", EPOCH);
    down = true;
    await sink.append("t1", part(1, 3));
    await sink.append("t2", part(1, 2));
    down = false;
    await expect.poll(() => clock.sleeping, PATIENT).toBeGreaterThan(0);
    await clock.advance(6_000);
    await expect.poll(staged, PATIENT).toEqual([]);
    expect((await inner.position("t1", EPOCH)).contiguousThrough).toBe(3n);
    expect((await inner.position("t2", EPOCH)).contiguousThrough).toBe(2n);
  });

  it("stages nothing beyond a hole, of a chain it does not know, or beyond its bounds: the agent waits", async () => {
    down = true;
    await expect(sink.append("t1", part(1, 2))).rejects.toThrow("away");
    down = false;
    await sink.position("t1", EPOCH);
    down = true;
    await expect(sink.append("t1", part(2, 3))).rejects.toThrow("away");
    expect(await staged()).toEqual([]);

    stop.abort();
    await sink.closed;
    sink = replica({ perCluster: 2, all: 3 });
    down = false;
    for (const cluster of ["t1", "t2"]) await sink.position(cluster, EPOCH);
    down = true;
    await sink.append("t1", part(1, 1));
    await sink.append("t1", part(2, 2));
    await expect(sink.append("t1", part(3, 3))).rejects.toThrow("away");
    await sink.append("t2", part(1, 1));
    await expect(sink.append("t2", part(2, 2))).rejects.toThrow("away");
  });
});

describe("staged objects", () => {
  it("hold events byte for byte, in parts of bounded size", () => {
    const long = Array.from({ length: 20 }, (_, at) => ({
      sequence: BigInt(at + 1),
      event: Buffer.alloc(60_000, at),
      hash: new Uint8Array(32),
      prevHash: new Uint8Array(32),
    }));
    const objects = stagedParts({ epoch: EPOCH, events: long }).map((part) => stagedObject("t1", part));
    for (const { data } of objects)
      expect(Buffer.byteLength(data?.["events"] ?? "")).toBeLessThanOrEqual(MAX_STAGED_BYTES);
    const back = objects.flatMap((object) => readStaged(object)?.events ?? []);
    expect(back.map(({ sequence }) => sequence)).toEqual(long.map(({ sequence }) => sequence));
    expect(back.every(({ event }, at) => Buffer.compare(event, long[at]?.event ?? Buffer.alloc(0)) === 0)).toBe(true);
    expect(
      readStaged({ ...stagedObject("t1", { epoch: EPOCH, events: [] }), data: { epoch: "7", events: "{" } }),
    ).toBeUndefined();
  });
});

import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import {
  type AuditEventFilterSchema,
  ListSnapshotLedgerRequestSchema,
  QueryEventsRequestSchema,
  TailEventsRequestSchema,
} from "../../api/gen/conductor/fleet/v1alpha1/audit_pb.ts";
import { AuditEventBatchSchema } from "../../api/gen/conductor/federation/v1alpha1/facts_pb.ts";
import { GrpcStatusError, Status } from "../../api/grpc/status-error.ts";
import { ManualClock } from "../../base/clock.ts";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { CHAIN_START, auditHash } from "../../federation/audit/audit-chain.ts";
import { startAuditRetention } from "../../federation/audit/audit-retention.ts";
import type { HubAuditSink } from "../../federation/audit/hub-audit-sink.ts";
import { openSqliteAuditSink } from "../../federation/audit/sqlite-audit-sink.ts";
import { silentLog } from "../../base/log.ts";
import { SeededRandom } from "../../base/random.ts";
import { EventChain, batchOf } from "../../../test/support/audit-events.ts";
import { AuditQueries } from "./audit-queries.ts";

const START_MS = Date.UTC(2026, 0, 1);
const never = new AbortController().signal;
let directory: string;
let clock: ManualClock;
let sink: HubAuditSink;
let queries: AuditQueries;
let chains: Map<string, { next: bigint; previous: Uint8Array }>;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "audit-queries-"));
  clock = new ManualClock(START_MS);
  sink = await openSqliteAuditSink({ path: join(directory, "audit.db"), clock });
  queries = new AuditQueries(sink, "management");
  chains = new Map();
});

afterEach(async () => {
  await sink.close();
  await rm(directory, { recursive: true });
});

async function store(cluster: string, count: number, decision = "allow"): Promise<void> {
  const chain = chains.get(cluster) ?? { next: 1n, previous: CHAIN_START };
  const events = Array.from({ length: count }, () => {
    const event = Buffer.from(`{"action":"authz.decision","decision":"${decision}","subject":"s-${chain.next}"}`);
    const sequence = chain.next;
    const prevHash = chain.previous;
    chain.previous = auditHash(prevHash, sequence, event);
    chain.next += 1n;
    return { sequence, event, prevHash, hash: chain.previous };
  });
  chains.set(cluster, chain);
  await sink.append(cluster, create(AuditEventBatchSchema, { epoch: 1n, events }));
}

type Filter = MessageInitShape<typeof AuditEventFilterSchema>;

async function pages(filter: Filter, pageSize: number): Promise<string[]> {
  const found: string[] = [];
  let pageToken = "";
  do {
    const page = await queries.page(create(QueryEventsRequestSchema, { filter, pageSize, pageToken }), never);
    found.push(...page.events.map(({ cluster, sequence }) => `${cluster}/${sequence}`));
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return found;
}

it("pages through the log, newest first", async () => {
  await store("t1", 5);
  await store("t2", 3, "deny");
  await clock.advance(60_000);
  await store("t1", 2, "deny");
  expect(await pages({}, 4)).toEqual(["t1/7", "t1/6", "t2/3", "t2/2", "t2/1", "t1/5", "t1/4", "t1/3", "t1/2", "t1/1"]);
  expect(await pages({ decision: "deny", cluster: "t1" }, 1)).toEqual(["t1/7", "t1/6"]);
  expect(await pages({ since: timestampFromMs(START_MS + 60_000) }, 10)).toEqual(["t1/7", "t1/6"]);
  expect(await pages({ subject: "s-1" }, 10)).toEqual(["t2/1", "t1/1"]);
});

it("refuses bounds that are none and tokens of another search", async () => {
  await store("t1", 5);
  const first = await queries.page(create(QueryEventsRequestSchema, { pageSize: 2 }), never);
  const wrong = [
    { pageSize: 1_001 },
    { pageToken: "x" },
    { pageToken: first.nextPageToken, filter: { cluster: "t1" } },
    { filter: { subject: "s".repeat(2_000) } },
    { filter: { since: { seconds: 2n ** 60n } } },
  ];
  for (const request of wrong) {
    const refusal: unknown = await queries
      .page(create(QueryEventsRequestSchema, request), never)
      .catch((e: unknown) => e);
    expect(refusal).toBeInstanceOf(GrpcStatusError);
    expect(refusal).toMatchObject({
      code: Status.INVALID_ARGUMENT,
      violations: [{ field: expect.any(String) as string }],
    });
  }
});

it("follows the log without missing or repeating an event", async () => {
  await store("t1", 5);
  const stop = new AbortController();
  const seen: bigint[] = [];
  const tail = queries.tail(create(TailEventsRequestSchema, { last: 2, filter: { cluster: "t1" } }), stop.signal);
  // Where a tail begins is seen by its first message; the log goes on from there.
  const first = await tail.next();
  if (first.done !== true) for (const { sequence } of first.value.events) seen.push(sequence);
  const following = (async () => {
    for await (const { events } of tail) {
      seen.push(...events.map(({ sequence }) => sequence));
      if (seen.length >= 602) stop.abort();
    }
  })();
  for (let n = 0; n < 6; n++) {
    await store("t1", 100);
    await store("t2", 10);
  }
  await following;
  expect(seen).toEqual(Array.from({ length: 602 }, (_, at) => BigInt(at + 4)));
});

it("goes on where a tail ended, and refuses a place of another search", async () => {
  await store("t1", 3);
  const stop = new AbortController();
  const first = queries.tail(create(TailEventsRequestSchema, { last: 1 }), stop.signal);
  const begun = await first.next();
  if (begun.done === true) throw new Error("a tail begins with its place");
  expect(begun.value.events.map(({ sequence }) => sequence)).toEqual([3n]);
  stop.abort();
  await store("t1", 4);
  const resumeToken = begun.value.position;
  const again = queries.tail(create(TailEventsRequestSchema, { last: 1, resumeToken }), never);
  const next = await again.next();
  if (next.done === true) throw new Error("the tail goes on");
  expect(next.value.events.map(({ sequence }) => sequence)).toEqual([4n, 5n, 6n, 7n]);
  await again.return(undefined);
  const filter = { cluster: "t2" };
  await expect(queries.tail(create(TailEventsRequestSchema, { resumeToken, filter }), never).next()).rejects.toThrow(
    /resume_token/,
  );
});

it("tells the history of a cluster's snapshots, newest first, from what the log holds", async () => {
  const chain = new EventChain();
  for (let version = 1; version <= 30; version++) {
    const details = { contentHash: `h${version}`, epoch: 9, sequence: version };
    const event = { action: "snapshot.signed", details, snapshotVersion: `v${version}`, subject: "cluster:t1" };
    chain.put(Buffer.from(JSON.stringify(event)), BigInt(version));
  }
  await sink.append("management", batchOf(1n, chain.events));
  const ledger = (limit: number) =>
    queries.snapshotLedger(create(ListSnapshotLedgerRequestSchema, { cluster: "t1", limit }), never);
  const { entries, truncated } = await ledger(0);
  expect(entries.map(({ version }) => version)).toEqual(Array.from({ length: 20 }, (_, at) => `v${30 - at}`));
  expect(truncated).toBe(true);
  expect((await ledger(200)).entries).toHaveLength(30);
  expect((await ledger(200)).truncated).toBe(false);
  await expect(ledger(201)).rejects.toThrow(/limit/);
});

it("verifies every chain while appends go on", async () => {
  await store("t1", 100);
  await store("t2", 7);
  const verdicts = [];
  for await (const verdict of queries.verify("", never)) {
    verdicts.push(verdict);
    await store("t1", 1);
  }
  expect(verdicts).toMatchObject([
    { cluster: "t1", verified: 100n, breaks: 0n, floor: 0n },
    { cluster: "t2", verified: 7n, breaks: 0n },
  ]);
});

it("removes by age and says what is gone", async () => {
  await store("t1", 10);
  await clock.advance(401 * 86_400_000);
  await store("t1", 5);
  const stop = new AbortController();
  const retention = startAuditRetention({
    sink,
    retentionDays: 400,
    clock,
    random: new SeededRandom(1),
    log: silentLog,
    signal: stop.signal,
  });
  for await (const verdict of queriesUntilRemoved())
    expect(verdict).toMatchObject({ floor: 10n, removed: 10n, verified: 5n, breaks: 0n, highest: 15n });
  expect(await pages({}, 100)).toHaveLength(5);
  stop.abort();
  await retention.closed;
});

/** The verdict once retention has done its work. */
async function* queriesUntilRemoved() {
  for (;;)
    for await (const verdict of queries.verify("t1", never))
      if (verdict.removed > 0n) {
        yield verdict;
        return;
      }
}

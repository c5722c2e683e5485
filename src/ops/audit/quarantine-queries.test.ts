import { create } from "@bufbuild/protobuf";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { EventChain, batchOf } from "../../../test/support/audit-events.ts";
import { RememberingTrail } from "../../../test/support/remembering-trail.ts";
import {
  ListQuarantineRequestSchema,
  QuarantineIdSchema,
  ResolveQuarantinedRequestSchema,
} from "../../api/gen/conductor/fleet/v1alpha1/audit_pb.ts";
import { Status } from "../../api/grpc/status-error.ts";
import { systemClock } from "../../base/clock.ts";
import type { HubAuditSink } from "../../federation/audit/hub-audit-sink.ts";
import { openSqliteAuditSink } from "../../federation/audit/sqlite-audit-sink.ts";
import { QuarantineQueries } from "./quarantine-queries.ts";

let directory: string;
let sink: HubAuditSink;
let trail: RememberingTrail;
let queries: QuarantineQueries;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "quarantine-"));
  sink = await openSqliteAuditSink({ path: join(directory, "audit.db"), clock: systemClock });
  trail = new RememberingTrail();
  queries = new QuarantineQueries(sink, trail);
  await sink.append("tenant-1", batchOf(7n, new EventChain().addMany(3).events));
  for (const subject of ["x", "y", "z"])
    await sink.append("tenant-1", batchOf(7n, new EventChain().addMany(3, { subject }).events));
});

afterEach(async () => {
  await sink.close();
  await rm(directory, { recursive: true });
});

const list = (fields: object) => queries.list(create(ListQuarantineRequestSchema, fields));
const resolve = (id: object | undefined, reason: string) =>
  queries.resolve(
    create(ResolveQuarantinedRequestSchema, {
      ...(id !== undefined && { id: create(QuarantineIdSchema, id) }),
      reason,
    }),
    "alice",
  );

it("pages through the quarantine; the first page has the totals and the bounds", async () => {
  const found: string[] = [];
  let pageToken = "";
  let pages = 0;
  do {
    const page = await list({ pageSize: 4, pageToken });
    expect(page.totals.length).toBe(pages === 0 ? 1 : 0);
    found.push(...page.entries.map(({ id }) => `${id?.sequence}/${id?.digest}`));
    ({ nextPageToken: pageToken } = page);
    pages += 1;
  } while (pageToken !== "");
  expect(pages).toBe(3);
  expect(new Set(found).size).toBe(9);
  expect((await list({})).totals).toMatchObject([{ cluster: "tenant-1", entries: 9n, overflowed: 0n }]);
  expect((await list({ cluster: "tenant-2" })).entries).toEqual([]);
});

it("refuses sizes, clusters and tokens that are none, and a token of another list", async () => {
  const { nextPageToken } = await list({ pageSize: 1 });
  for (const wrong of [
    { pageSize: 201 },
    { cluster: "Not A Cluster" },
    { pageToken: "x" },
    { cluster: "tenant-1", pageToken: nextPageToken },
  ])
    await expect(list(wrong)).rejects.toMatchObject({ code: Status.INVALID_ARGUMENT });
});

it("shows both events of a number", async () => {
  const [entry] = (await list({})).entries;
  const shown = await queries.get(entry?.id);
  expect(Buffer.from(shown.event).toString()).toContain('"subject":');
  expect(shown.stored).toMatchObject({ cluster: "tenant-1", sequence: 1n, event: '{"action":"a"}' });
  expect(shown.hash).not.toBe(shown.stored?.hash);
});

it("resolves by a short digest: the log has who, why and the event before it is gone", async () => {
  const [entry] = (await list({})).entries;
  if (entry?.id === undefined) throw new Error("an entry");
  const { cluster, epoch, sequence, digest } = entry.id;
  const short = { cluster, epoch, sequence, digest: digest.slice(0, 12) };
  await expect(resolve(short, "  ")).rejects.toThrow(/reason/);
  await expect(resolve({ ...short, digest: "abc" }, "why")).rejects.toThrow(/12 to 64 lower-case hexadecimal digits/);
  await expect(resolve(undefined, "why")).rejects.toThrow(/id.cluster/);
  expect(trail.records).toEqual([]);

  expect(await resolve(short, "the disk was cloned")).toMatchObject({ code: "AUDIT_CONFLICT" });
  expect(trail.records).toMatchObject([
    {
      action: "audit.quarantine_resolved",
      subject: "alice",
      resource: `tenant-1/7/1/${digest.slice(0, 12)}`,
      code: "AUDIT_CONFLICT",
      details: {
        cluster: "tenant-1",
        sequence: "1",
        digest,
        reason: "the disk was cloned",
        event: expect.stringMatching(/^{"action":"a","subject":"[xyz]"}$/),
      },
    },
  ]);
  await expect(resolve(short, "again")).rejects.toThrow(
    /event tenant-1\/7\/1\/[0-9a-f]{12}: in quarantine, found no such event there; list it with seamctl audit quarantine list/,
  );
  expect((await list({})).entries).toHaveLength(8);
});

it("records what is no text as Base64, clipped", async () => {
  const event = Buffer.alloc(20_000, 0xff);
  await sink.append(
    "tenant-2",
    batchOf(7n, [{ sequence: 1n, event, hash: new Uint8Array(32), prevHash: new Uint8Array(32) }]),
  );
  const [entry] = (await list({ cluster: "tenant-2" })).entries;
  await resolve(entry?.id, "noise");
  expect(trail.records[0]?.details).toMatchObject({
    bytes: 20_000,
    eventClipped: true,
    eventBase64: event.subarray(0, 8_000).toString("base64"),
  });
});

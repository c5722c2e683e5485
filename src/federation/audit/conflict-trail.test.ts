import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished, vi } from "vitest";
import { EventChain, batchOf } from "../../../test/support/audit-events.ts";
import { RememberingTrail } from "../../../test/support/remembering-trail.ts";
import { ManualClock } from "../../base/clock.ts";
import { tellConflicts } from "./conflict-trail.ts";
import { openSqliteAuditSink } from "./sqlite-audit-sink.ts";

it("tells a cluster's first refusal at once and those of the next minute together, and counts all", async () => {
  const directory = await mkdtemp(join(tmpdir(), "conflicts-"));
  const clock = new ManualClock();
  const inner = await openSqliteAuditSink({ path: join(directory, "audit.db"), clock });
  const stop = new AbortController();
  onTestFinished(async () => {
    stop.abort();
    await inner.close();
    await rm(directory, { recursive: true });
  });
  const trail = new RememberingTrail();
  let counted = 0;
  const metrics = { count: () => void counted++, gauge: () => {}, observe: () => {} };
  const sink = tellConflicts(inner, { trail, metrics, clock, signal: stop.signal });
  await sink.append("t1", batchOf(1n, new EventChain().addMany(5).events));
  expect(trail.records).toEqual([]);
  const others = new EventChain().addMany(5, { subject: "other" }).events;
  await sink.append("t1", batchOf(1n, others.slice(0, 1)));
  expect(trail.records).toMatchObject([
    { action: "audit.conflict", subject: "cluster:t1", code: "AUDIT_CONFLICT", details: { count: 1, first: "1" } },
  ]);
  await sink.append("t1", batchOf(1n, others.slice(1, 3)));
  await sink.append("t1", batchOf(1n, others.slice(3)));
  expect(trail.records).toHaveLength(1);
  await clock.advance(60_000);
  await vi.waitFor(() => expect(trail.records).toHaveLength(2), { timeout: 15_000 });
  expect(trail.records[1]?.details).toEqual({ count: 4, first: "2", last: "5", codes: { AUDIT_CONFLICT: 4 } });
  expect(counted).toBe(5);
  await clock.advance(60_000);
  await sink.append("t1", batchOf(1n, others.slice(0, 1)));
  await vi.waitFor(() => expect(trail.records).toHaveLength(3), { timeout: 15_000 });
});

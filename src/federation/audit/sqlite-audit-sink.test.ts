import { create } from "@bufbuild/protobuf";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { type AuditEventBatch, AuditEventBatchSchema } from "../../api/gen/conductor/federation/v1alpha1/facts_pb.ts";
import { systemClock } from "../../base/clock.ts";
import { CHAIN_START, auditHash } from "./audit-chain.ts";
import { openSqliteAuditSink } from "./sqlite-audit-sink.ts";

function batch(sequence: bigint): AuditEventBatch {
  const event = Buffer.from(`{"n":${sequence}}`);
  const hash = auditHash(CHAIN_START, sequence, event);
  return create(AuditEventBatchSchema, { epoch: 1n, events: [{ sequence, event, hash, prevHash: CHAIN_START }] });
}

it("invariant 11: is durable before it answers, across a restart, for many clusters at once", async () => {
  const directory = await mkdtemp(join(tmpdir(), "seam-audit-"));
  const path = join(directory, "sub", "audit.db");
  const sink = await openSqliteAuditSink({ path, clock: systemClock });
  const clusters = Array.from({ length: 20 }, (_, i) => `tenant-${i}`);
  const results = await Promise.all(clusters.map((cluster) => sink.append(cluster, batch(1n))));
  expect(results.every(({ contiguousThrough }) => contiguousThrough === 1n)).toBe(true);
  await expect(openSqliteAuditSink({ path, clock: systemClock })).rejects.toMatchObject({
    parts: { reason: "StoreLocked" },
  });
  await sink.close();
  await expect(sink.position("tenant-1", 1n)).rejects.toThrow(/an open audit sink/);

  const again = await openSqliteAuditSink({ path, clock: systemClock });
  expect(await again.position("tenant-7", 1n)).toMatchObject({ contiguousThrough: 1n, highest: 1n });
  await again.close();
  await rm(directory, { recursive: true });
});

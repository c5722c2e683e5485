import { expect, it } from "vitest";
import type { JsonObject } from "../../base/json.ts";
import type { StoredAuditEvent } from "../../federation/audit/audit-log-reader.ts";
import { snapshotLedger } from "./snapshot-ledger.ts";

let minute = 0;

function stored(cluster: string, action: string, fields: JsonObject): StoredAuditEvent {
  minute += 1;
  const time = new Date(Date.UTC(2026, 0, 1, 0, minute)).toISOString();
  return {
    arrival: BigInt(minute),
    cluster,
    epoch: 1n,
    sequence: BigInt(minute),
    time,
    receivedAt: time,
    subject: "cluster:tenant-1",
    action,
    resource: "",
    decision: "system",
    event: Buffer.from(JSON.stringify({ action, time, ...fields })),
    hash: new Uint8Array(32),
  };
}

const at = (n: number) => new Date(Date.UTC(2026, 0, 1, 0, n)).toISOString();
const position = (sequence: number, contentHash: string) => ({
  details: { epoch: 9, sequence, contentHash, keyId: "k1" },
});

it("follows each version from its computation to the tenant's word, and counts nobody's word for another's", () => {
  minute = 0;
  const events = [
    stored("management", "permissionsnapshot.computed", { snapshotVersion: "v1", ...position(1, "h1") }),
    stored("management", "snapshot.signed", { snapshotVersion: "v1", ...position(1, "h1") }),
    stored("management", "snapshot.offered", { details: { contentHash: "h1" } }),
    stored("tenant-1", "snapshot.rejected", { snapshotVersion: "v1", code: "UNKNOWN_KEY" }),
    stored("tenant-1", "snapshot.applied", { snapshotVersion: "v1" }),
    stored("management", "permissionsnapshot.delivered", { snapshotVersion: "v1" }),
    stored("management", "permissionsnapshot.computed", { snapshotVersion: "v2", ...position(2, "h2") }),
    // A tenant that speaks for the hub, of a version that never was, and for another tenant.
    stored("tenant-1", "snapshot.signed", { snapshotVersion: "v9", ...position(9, "h9") }),
    stored("tenant-1", "snapshot.applied", { snapshotVersion: "v9" }),
    stored("tenant-2", "snapshot.applied", { snapshotVersion: "v2" }),
    stored("tenant-1", "snapshot.rejected", { snapshotVersion: "v2", code: "TOO_LARGE" }),
  ];
  expect(snapshotLedger(events, "tenant-1", "management")).toEqual([
    {
      cluster: "tenant-1",
      version: "v1",
      epoch: 9,
      sequence: 1,
      contentHash: "h1",
      generatedAt: at(1),
      signedBy: "k1",
      signedAt: at(2),
      offeredAt: at(3),
      appliedAt: at(5),
      rejectedCode: "",
      acknowledgedAt: at(6),
    },
    expect.objectContaining({
      version: "v2",
      generatedAt: at(7),
      signedAt: "",
      appliedAt: "",
      rejectedCode: "TOO_LARGE",
    }),
  ]);
});

import { create } from "@bufbuild/protobuf";
import {
  type AuditLogEvent,
  AuditLogEventSchema,
  ChainFault,
  type SnapshotLedgerEntry,
  SnapshotLedgerEntrySchema,
  type VerifyChainsResponse,
  VerifyChainsResponseSchema,
} from "../../api/gen/conductor/fleet/v1alpha1/audit_pb.ts";
import type { ChainVerdict, StoredAuditEvent } from "../../federation/audit/audit-log-reader.ts";
import type { SnapshotLedgerRow } from "./snapshot-ledger.ts";
import { member, timestamp } from "../fleet/wire-timestamp.ts";

/** One event as AuditService shows it. */
export function auditRow(stored: StoredAuditEvent): AuditLogEvent {
  const { cluster, epoch, sequence, time, subject, action, resource, decision } = stored;
  return create(AuditLogEventSchema, {
    cluster,
    epoch,
    sequence,
    time,
    subject,
    action,
    resource,
    decision,
    event: Buffer.from(stored.event).toString(),
    hash: Buffer.from(stored.hash).toString("hex"),
    ...member("receivedAt", timestamp(stored.receivedAt)),
  });
}

/** One version of the snapshot ledger as AuditService shows it. */
export function ledgerRow(row: SnapshotLedgerRow): SnapshotLedgerEntry {
  const { cluster, version, epoch, sequence, contentHash, signedBy, rejectedCode } = row;
  return create(SnapshotLedgerEntrySchema, {
    cluster,
    version,
    epoch: BigInt(epoch),
    sequence: BigInt(sequence),
    contentHash,
    signedBy,
    rejectedCode,
    ...member("generatedAt", timestamp(row.generatedAt)),
    ...member("signedAt", timestamp(row.signedAt)),
    ...member("offeredAt", timestamp(row.offeredAt)),
    ...member("appliedAt", timestamp(row.appliedAt)),
    ...member("acknowledgedAt", timestamp(row.acknowledgedAt)),
  });
}

const FAULTS = { missing: ChainFault.MISSING, altered: ChainFault.ALTERED, broken: ChainFault.BROKEN } as const;

/** One chain as AuditService shows it. */
export function verdictRow({ chain, state }: ChainVerdict): VerifyChainsResponse {
  const { cluster, epoch, highest, quarantined, floor } = chain;
  const { verified, explained, firstBreak } = state;
  return create(VerifyChainsResponseSchema, {
    cluster,
    epoch,
    highest,
    quarantined,
    verified,
    explained,
    floor: floor?.through ?? 0n,
    removed: floor?.removed ?? 0n,
    breaks: BigInt(state.breaks) + (floor?.breaks ?? 0n),
    firstFault: firstBreak === undefined ? ChainFault.UNSPECIFIED : FAULTS[firstBreak.kind],
    faultFrom: firstBreak?.from ?? 0n,
    faultTo: firstBreak?.to ?? 0n,
    ...member("removedAt", timestamp(floor?.removedAt)),
  });
}

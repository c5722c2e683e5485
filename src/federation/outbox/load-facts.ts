import { create, fromBinary } from "@bufbuild/protobuf";
import {
  AuditEventBatchSchema,
  CapabilityDeclarationSchema,
  DriftReportSchema,
  PackReceiptReportSchema,
  SnapshotReceiptReportSchema,
} from "../../api/gen/conductor/federation/v1alpha1/facts_pb.ts";
import type { AuditEventBatch } from "../../api/gen/conductor/federation/v1alpha1/facts_pb.ts";
import type { StatePayload } from "../session/payload.ts";
import type { LoadedFact } from "../session/spoke/events.ts";
import type { HeldAuditEvent } from "./audit-log.ts";
import type { HeldFact } from "./held-facts.ts";

/** A stored report as it goes on the wire: the message with its counter. */
export function loadedFact(fact: HeldFact): LoadedFact {
  const { key, kind, reportVersion } = fact;
  return { key, kind, reportVersion, payload: payloadOf(fact), bytes: fact.payload.length + 10 };
}

function payloadOf({ kind, payload, reportVersion }: HeldFact): StatePayload {
  switch (kind) {
    case "packReceiptReport": {
      const value = fromBinary(PackReceiptReportSchema, payload);
      value.reportVersion = reportVersion;
      return { case: kind, value };
    }
    case "snapshotReceiptReport": {
      const value = fromBinary(SnapshotReceiptReportSchema, payload);
      value.reportVersion = reportVersion;
      return { case: kind, value };
    }
    case "driftReport": {
      const value = fromBinary(DriftReportSchema, payload);
      value.reportVersion = reportVersion;
      return { case: kind, value };
    }
    case "capabilityDeclaration": {
      const value = fromBinary(CapabilityDeclarationSchema, payload);
      value.reportVersion = reportVersion;
      return { case: kind, value };
    }
  }
}

/** Bytes of an event's frame beside its own: number, two hashes, tags. */
const EVENT_OVERHEAD_BYTES = 96;

/** A batch for the wire and its size; undefined when nothing is held. */
export function auditBatch(
  epoch: bigint,
  events: readonly HeldAuditEvent[],
): { readonly batch: AuditEventBatch | undefined; readonly bytes: number } {
  if (events.length === 0) return { batch: undefined, bytes: 0 };
  return {
    batch: create(AuditEventBatchSchema, { epoch, events: [...events] }),
    bytes: events.reduce((sum, { event }) => sum + event.length + EVENT_OVERHEAD_BYTES, 0),
  };
}

import { create, toBinary } from "@bufbuild/protobuf";
import {
  CapabilityDeclarationSchema,
  DriftReportSchema,
  PackReceiptReportSchema,
  SnapshotReceiptReportSchema,
} from "../../api/gen/conductor/federation/v1alpha1/facts_pb.ts";
import { canonicalJson } from "../../base/canonical-json.ts";
import { type Clock, rfc3339 } from "../../base/clock.ts";
import { SeamError } from "../../base/errors.ts";
import type { JsonObject } from "../../base/json.ts";
import { ulid } from "../../base/ids.ts";
import type { Random } from "../../base/random.ts";
import { MAX_FACT_BYTES } from "../session/limits.ts";
import { type StatePayload, stateKey } from "../session/payload.ts";
import type { PendingFact } from "../session/spoke/events.ts";
import type { FactOutbox } from "../spoke/ports.ts";
import type { AuditPressure } from "./audit-pressure.ts";
import type { AuditAppended } from "./outbox-store.ts";
import type { Outbox } from "./outbox.ts";

/** Largest audit event, bytes of canonical JSON. */
export const MAX_AUDIT_EVENT_BYTES = 64 * 1024;
/** Of the `allow` decisions that arrive while the log is nearly full, one in this many is kept. */
export const NEAR_FULL_SAMPLE = 10;
/** Allows sampled away after which a record counts them. */
const SAMPLED_REPORT = 1_000;

/** Who hears of facts after they are durable. */
export interface FactListener {
  factPending(fact: PendingFact): void;
  auditAppended(appended: AuditAppended): void;
}

/** Parts of {@link factOutbox}. */
export interface FactOutboxParts {
  readonly cluster: string;
  readonly outbox: Outbox;
  readonly listener: FactListener;
  readonly clock: Clock;
  readonly random: Random;
}

/** The producers' side of the outbox: encodes, bounds and stores facts, then tells the session. */
export function factOutbox(parts: FactOutboxParts): FactOutbox {
  const { cluster, outbox, listener, clock, random } = parts;
  let pressure: AuditPressure = "normal";
  let told: AuditAppended | undefined;
  let allowed = 0;
  /** Allows that were not logged since the last record of them. */
  let sampledOut = 0;

  const put = async (payload: StatePayload, bytes: Uint8Array): Promise<void> => {
    const key = stateKey(payload);
    if (bytes.length > MAX_FACT_BYTES)
      throw new SeamError({
        reason: "FactTooLarge",
        object: key,
        expected: `at most ${MAX_FACT_BYTES} bytes, found ${bytes.length}`,
      });
    listener.factPending(await outbox.putFact({ key, kind: payload.case, payload: bytes }));
  };

  const append = async (event: JsonObject, droppable: boolean): Promise<void> => {
    // Decisions, most of all events, were given both when they were made.
    const whole = event["eventId"] !== undefined && event["time"] !== undefined;
    const head = whole ? {} : { eventId: ulid(clock, random), time: rfc3339(clock.now()) };
    const bytes = Buffer.from(canonicalJson({ ...head, ...event, clusterId: cluster }));
    if (bytes.length > MAX_AUDIT_EVENT_BYTES)
      throw new SeamError({
        reason: "AuditEventTooLarge",
        object: "audit event",
        expected: `at most ${MAX_AUDIT_EVENT_BYTES} bytes, found ${bytes.length}`,
      });
    const appended = await outbox.appendAudit(bytes, droppable);
    // Events that were appended together have one answer, which the listener needs once.
    if (appended === told) return;
    told = appended;
    ({ pressure } = appended);
    listener.auditAppended(appended);
  };

  /** A count that does not fit stays with the next. */
  const reportSampled = async (): Promise<void> => {
    const count = sampledOut;
    sampledOut = 0;
    try {
      await append({ action: "audit.sampled", decision: "system", count }, false);
    } catch {
      sampledOut += count;
    }
  };

  return {
    packReceipt(report) {
      const value = create(PackReceiptReportSchema, report);
      return put({ case: "packReceiptReport", value }, toBinary(PackReceiptReportSchema, value));
    },
    snapshotReceipt(report) {
      const value = create(SnapshotReceiptReportSchema, report);
      return put({ case: "snapshotReceiptReport", value }, toBinary(SnapshotReceiptReportSchema, value));
    },
    drift(report) {
      const value = create(DriftReportSchema, report);
      return put({ case: "driftReport", value }, toBinary(DriftReportSchema, value));
    },
    capability(declaration) {
      const value = create(CapabilityDeclarationSchema, declaration);
      return put({ case: "capabilityDeclaration", value }, toBinary(CapabilityDeclarationSchema, value));
    },
    async audit(event) {
      const droppable = event["decision"] === "allow";
      const skipped = droppable && pressure !== "normal" && allowed++ % NEAR_FULL_SAMPLE !== 0;
      if (skipped) sampledOut += 1;
      // What was sampled away stands in the log as a count, at the latest with the next event after the log has room again.
      if (sampledOut >= SAMPLED_REPORT || (sampledOut > 0 && pressure === "normal")) await reportSampled();
      if (skipped) return;
      await append(event, droppable);
    },
  };
}

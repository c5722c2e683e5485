import { create, equals } from "@bufbuild/protobuf";
import { DriftUpdateSchema } from "../../../api/gen/conductor/federation/v1alpha1/facts_pb.ts";
import { findCondition, isTrue } from "../../../api/conditions.ts";
import type { DriftSignal } from "../../../api/kinds/drift-signal.ts";
import type { KeyedMessage } from "../hub-options.ts";

/** What the agent is told about one of its signals (conductor §4.9, DriftUpdate); a newer word on the same signal replaces it. */
export function driftUpdate(signal: DriftSignal): KeyedMessage {
  const { metadata, spec, status } = signal;
  const update = create(DriftUpdateSchema, {
    signalName: metadata.name,
    correlationId: spec.correlationID,
    state: spec.state,
    escalationCounter: spec.escalationCounter ?? 0,
    correctionRef: spec.correctionJobRef ?? "",
    terminal: isTrue(status?.conditions, "TerminalDrift"),
    message: messageOf(signal),
  });
  return { key: `drift/${metadata.name}`, message: { case: "driftUpdate", value: update } };
}

/** True when two updates tell an agent the same. */
export function sameUpdate(a: KeyedMessage, b: KeyedMessage): boolean {
  return (
    a.message.case === "driftUpdate" &&
    b.message.case === "driftUpdate" &&
    equals(DriftUpdateSchema, a.message.value, b.message.value)
  );
}

function messageOf({ spec, status }: DriftSignal): string {
  const terminal = findCondition(status?.conditions, "TerminalDrift");
  if (terminal?.status === "True") return terminal.message;
  if (spec.state === "confirmed") return "in sync again";
  const held = findCondition(status?.conditions, "CorrectionHeld");
  if (held?.status === "True") return `correction held: ${held.reason}`;
  if (isTrue(status?.conditions, "CorrectionUnavailable")) return "the pack to correct with was not found";
  if (spec.state === "queued") return `attempt ${(spec.escalationCounter ?? 0) + 1} by ${spec.correctionJobRef ?? ""}`;
  return "waits for a correction";
}

import type { Envelope } from "../../api/gen/conductor/federation/v1alpha1/federation_pb.ts";

/** A payload of the envelope's oneof that is set. */
export type Payload = Exclude<Envelope["payload"], { case: undefined }>;

/** Name of a payload. */
export type PayloadCase = Payload["case"];

/** State lane, agent to hub: the newest report of a key is what counts. */
export type StatePayload = Extract<
  Payload,
  { case: "packReceiptReport" | "snapshotReceiptReport" | "driftReport" | "capabilityDeclaration" }
>;

/** Requests an agent makes of other rooms of the hub. */
export type RequestPayload = Extract<Payload, { case: "runnerConfigValidationRequest" | "certificateRenewalRequest" }>;

/** Answers to {@link RequestPayload}. */
export type ResponsePayload = Extract<
  Payload,
  { case: "runnerConfigValidationResponse" | "certificateRenewalResponse" }
>;

/** Messages other rooms of the hub send to an agent through its session. */
export type HubMessage = ResponsePayload | Extract<Payload, { case: "driftUpdate" }>;

/** Key of a state-lane report: one key has one newest report. */
export function stateKey(payload: StatePayload): string {
  switch (payload.case) {
    case "packReceiptReport":
      return `packReceiptReport/${payload.value.receiptName}`;
    case "driftReport":
      return `driftReport/${payload.value.signalName}`;
    case "snapshotReceiptReport":
    case "capabilityDeclaration":
      return payload.case;
  }
}

import { digestOf } from "../../base/digest.ts";
import type { Log } from "../../base/log.ts";
import type { FrameBody } from "./frame.ts";
import type { Payload, PayloadCase } from "./payload.ts";

/**
 * W3C trace context of frames (lessons §12.3). Both sides name the work by its content: frames about one index, body, revocation or
 * request have one trace id wherever and however often they travel, so that the logs of hub and agent can be laid side by side without
 * anything being remembered.
 */

const TRACEPARENT = /^00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$/;
const NO_TRACE = "0".repeat(32);

/** `traceparent` of a frame; empty when it belongs to no work that has a name. */
export function traceparentOf(body: FrameBody): string {
  switch (body.kind) {
    case "offer":
      return ofDigest(body.offer.desired.digest);
    case "chunk":
      return ofDigest(body.digest);
    case "message":
      return ofPayload(body.payload);
  }
}

/** Trace id of a received frame; undefined when it says none, or nothing that is one. */
export function traceIdOf(traceparent: string): string | undefined {
  const [, traceId] = traceparent === "" ? [] : (TRACEPARENT.exec(traceparent) ?? []);
  return traceId === NO_TRACE ? undefined : traceId;
}

/** Levels at which both sides log a frame with its trace id: every change has an offer, what people look for afterwards is rare. */
const LOGGED: Readonly<Partial<Record<PayloadCase, "debug" | "info">>> = {
  indexOffer: "debug",
  indexReport: "debug",
  itemReports: "debug",
  revocationPush: "info",
  revocationAck: "info",
  runnerConfigValidationRequest: "info",
  runnerConfigValidationResponse: "info",
  certificateRenewalRequest: "info",
  certificateRenewalResponse: "info",
};

/** Logs a frame of the kinds that are worth a line, with the trace id that the other side logs too. */
export function logFrame(log: Log, payload: PayloadCase | undefined, traceparent: string, direction: string): void {
  const level = payload === undefined ? undefined : LOGGED[payload];
  if (level === undefined) return;
  // Read only by a log that writes this level: a debug line per frame is rarely wanted.
  const fields = {
    get traceId() {
      return traceIdOf(traceparent);
    },
    payload,
  };
  log[level](fields, direction);
}

function ofPayload(payload: Payload): string {
  switch (payload.case) {
    case "indexReport":
    case "itemReport":
    case "itemRetry":
    case "blobFetch":
    case "blobUnavailable":
      return ofDigest(payload.value.digest);
    case "itemReports":
      return ofDigest(payload.value.index?.digest ?? "");
    case "revocationPush":
    case "revocationAck":
      return ofName(payload.value.revocationId);
    case "runnerConfigValidationRequest":
    case "runnerConfigValidationResponse":
    case "certificateRenewalRequest":
    case "certificateRenewalResponse":
      return ofName(payload.value.requestId);
    default:
      return "";
  }
}

/** A digest is random enough to be an id. */
function ofDigest(digest: string): string {
  const hex = digest.slice("sha256:".length);
  return hex.length < 48 ? "" : `00-${hex.slice(0, 32)}-${hex.slice(32, 48)}-00`;
}

function ofName(name: string): string {
  return name === "" ? "" : ofDigest(digestOf(name));
}

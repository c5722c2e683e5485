import { canonicalJson, parseCanonicalJson } from "../../base/canonical-json.ts";
import type { JsonObject } from "../../base/json.ts";
import { StrictObject } from "./strict-object.ts";

/** Order to apply the held pack again: one corrective attempt in pull mode. Signed as payload type `correction`. */
export interface Correction {
  readonly _type: "Correction/v1";
  readonly cluster: string;
  /** PackInstalled name. */
  readonly packInstalled: string;
  /** Serial of the pack manifest that is to be applied again: a correction never outlives its version. */
  readonly serial: number;
  /** Correlation id of the DriftSignal. */
  readonly correlationId: string;
  /** From 1, rising within one correlation id. */
  readonly attempt: number;
  readonly signalName: string;
  /** RFC 3339. */
  readonly issuedAt: string;
}

/** Canonical body: the bytes that are signed. */
export function encodeCorrection(correction: Correction): Uint8Array {
  const body = Buffer.from(canonicalJson(correction as unknown as JsonObject));
  parseCorrection(body);
  return body;
}

/** Parses verified bytes. @throws SeamError `NotCanonical`, `BodyInvalid` */
export function parseCorrection(body: Uint8Array): Correction {
  const from = new StrictObject(parseCanonicalJson(body), "correction");
  const correction: Correction = {
    _type: from.choice("_type", ["Correction/v1"]),
    cluster: from.text("cluster", { max: 253 }),
    packInstalled: from.text("packInstalled", { max: 253 }),
    serial: from.integer("serial", 1),
    correlationId: from.text("correlationId", { max: 64 }),
    attempt: from.integer("attempt", 1, 1_000_000),
    signalName: from.text("signalName", { max: 253 }),
    issuedAt: from.text("issuedAt", { max: 64 }),
  };
  from.end();
  return correction;
}

/** `{correlationId}/{attempt}`: how a DriftReport names the attempt that ended last. */
export function correctionId(correction: { readonly correlationId: string; readonly attempt: number }): string {
  return `${correction.correlationId}/${correction.attempt}`;
}

/** Splits a correction id; undefined when it is none. */
export function parseCorrectionId(
  id: string,
): { readonly correlationId: string; readonly attempt: number } | undefined {
  const slash = id.lastIndexOf("/");
  const attempt = Number(id.slice(slash + 1));
  if (slash < 1 || !Number.isSafeInteger(attempt) || attempt < 1) return undefined;
  return { correlationId: id.slice(0, slash), attempt };
}

import { canonicalJson } from "../../base/canonical-json.ts";
import { type JsonObject, type JsonValue, isJsonObject } from "../../base/json.ts";

/** What can be revoked on a tenant. */
export const REVOCATION_TARGETS = ["PackInstalled", "PermissionSnapshot", "Cluster"] as const;

/** One of {@link REVOCATION_TARGETS}. */
export type RevocationTarget = (typeof REVOCATION_TARGETS)[number];

/** A revocation as it is signed: every field of RevocationPush, and the cluster it is for. */
export interface RevocationBody {
  readonly cluster: string;
  readonly target: RevocationTarget;
  /** PackInstalled name, snapshot name, or the cluster id. */
  readonly name: string;
  /** Namespace of the object on the management cluster. */
  readonly namespace: string;
  readonly revocationId: string;
  /** Per-cluster counter. */
  readonly serial: number;
  /** For people. */
  readonly reason: string;
  /** Snapshots and clusters: lowest sequence of the permission snapshot that may still be served. */
  readonly minSequence: number;
  /** Packs: lowest serial that may still be applied. */
  readonly minSerial: number;
  /** Unix milliseconds. */
  readonly effectiveUnixMs: number;
}

const TYPE = "Revocation/v1";
const TEXTS = ["cluster", "name", "namespace", "revocationId", "reason"] as const;
const NUMBERS = ["serial", "minSequence", "minSerial", "effectiveUnixMs"] as const;

/** The canonical bytes that are signed. */
export function encodeRevocation(body: RevocationBody): Uint8Array {
  return Buffer.from(canonicalJson({ _type: TYPE, ...body }));
}

/** Reads bytes whose signature was verified; undefined when they are no revocation. */
export function parseRevocation(bytes: Uint8Array): RevocationBody | undefined {
  let value: JsonValue;
  try {
    value = JSON.parse(Buffer.from(bytes).toString("utf8")) as JsonValue;
  } catch {
    return undefined; // signed by us and not JSON: the caller says so
  }
  if (!isJsonObject(value) || value["_type"] !== TYPE) return undefined;
  const target = REVOCATION_TARGETS.find((known) => known === value["target"]);
  if (target === undefined) return undefined;
  if (!TEXTS.every((key) => typeof value[key] === "string")) return undefined;
  if (!NUMBERS.every((key) => Number.isSafeInteger(value[key]) && number(value, key) >= 0)) return undefined;
  return {
    cluster: text(value, "cluster"),
    target,
    name: text(value, "name"),
    namespace: text(value, "namespace"),
    revocationId: text(value, "revocationId"),
    serial: number(value, "serial"),
    reason: text(value, "reason"),
    minSequence: number(value, "minSequence"),
    minSerial: number(value, "minSerial"),
    effectiveUnixMs: number(value, "effectiveUnixMs"),
  };
}

function text(value: JsonObject, key: (typeof TEXTS)[number]): string {
  const held = value[key];
  return typeof held === "string" ? held : "";
}

function number(value: JsonObject, key: (typeof NUMBERS)[number]): number {
  return Number(value[key]);
}

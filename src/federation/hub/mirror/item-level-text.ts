import { create } from "@bufbuild/protobuf";
import {
  type ItemReport,
  ItemReportSchema,
  ItemReport_Level as Level,
  type Nack,
  NackSchema,
  Nack_Class as NackClass,
} from "../../../api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import type { PackReceiptDelivery, PackReceiptDeliveryNack } from "../../../api/kinds/pack-receipt.ts";
import { type JsonObject, type JsonValue, isJsonObject } from "../../../base/json.ts";
import { kubernetesTime, safeNumber } from "./wire-time.ts";

/** Longest text for people that is kept of a report, characters. */
const MAX_TEXT = 512;

const ALL_LEVELS = [Level.UNSPECIFIED, Level.RECEIVED, Level.VERIFIED, Level.APPLIED, Level.HEALTHY] as const;
const ALL_CLASSES = [
  NackClass.INVALID,
  NackClass.UNTRUSTED,
  NackClass.CONFLICT,
  NackClass.BUSY,
  NackClass.UNSUPPORTED,
  NackClass.INTERNAL,
] as const;

function levelText(level: Level): PackReceiptDelivery["level"] | undefined {
  switch (level) {
    case Level.RECEIVED:
      return "Received";
    case Level.VERIFIED:
      return "Verified";
    case Level.APPLIED:
      return "Applied";
    case Level.HEALTHY:
      return "Healthy";
    default:
      return undefined; // unspecified, or of a newer protocol
  }
}

/** Class of a refusal as status and metrics name it. */
export function nackClassText(nackClass: NackClass): PackReceiptDeliveryNack["class"] {
  switch (nackClass) {
    case NackClass.INVALID:
      return "Invalid";
    case NackClass.UNTRUSTED:
      return "Untrusted";
    case NackClass.CONFLICT:
      return "Conflict";
    case NackClass.BUSY:
      return "Busy";
    case NackClass.UNSUPPORTED:
      return "Unsupported";
    default:
      return "Internal";
  }
}

/** `status.delivery` of a pack's mirror. */
export function receiptDelivery(item: ItemReport): PackReceiptDelivery {
  const level = levelText(item.level);
  const at = kubernetesTime(item.atUnixMs);
  const nextRetryAt = kubernetesTime(item.nextRetryUnixMs);
  return {
    ...(level === undefined ? {} : { level }),
    version: safeNumber(item.version),
    ...(item.digest === "" ? {} : { digest: item.digest }),
    ...(at === undefined ? {} : { at }),
    ...(item.waitingFor === "" ? {} : { waitingFor: item.waitingFor.slice(0, MAX_TEXT) }),
    ...(nextRetryAt === undefined ? {} : { nextRetryAt }),
    ...(item.nack === undefined
      ? {}
      : {
          nack: {
            class: nackClassText(item.nack.class),
            retryable: item.nack.retryable,
            reason: item.nack.reason,
            ...(item.nack.detail === "" ? {} : { detail: item.nack.detail.slice(0, MAX_TEXT) }),
          },
        }),
  };
}

/** What is kept of an item: its last report, and when each level of that digest was first reported. */
export interface StoredItemLevel {
  readonly report: ItemReport;
  /** Unix milliseconds by the agent's clock, by level number; 0 for a level not reached. */
  readonly reachedMs: readonly number[];
}

/**
 * The stored level after a report. Times of lower levels are kept while the digest stays; a level that was jumped over has the time of
 * the one that implies it. Pure.
 */
export function nextStoredLevel(before: StoredItemLevel | undefined, report: ItemReport): StoredItemLevel {
  const same = before?.report.digest === report.digest && before.report.version === report.version;
  const at = safeNumber(report.atUnixMs);
  const reachedMs = ALL_LEVELS.map((level) => {
    if (level === Level.UNSPECIFIED || level > report.level) return 0;
    const earlier = same ? (before.reachedMs[level] ?? 0) : 0;
    return earlier === 0 ? at : earlier;
  });
  return { report, reachedMs };
}

/** The small JSON that is kept per item. */
export function itemLevelJson({ report: item, reachedMs }: StoredItemLevel): JsonObject {
  return {
    kind: item.kind,
    name: item.name,
    version: safeNumber(item.version),
    digest: item.digest,
    level: item.level,
    at: safeNumber(item.atUnixMs),
    reached: [...reachedMs],
    ...(item.nextRetryUnixMs === 0n ? {} : { retryAt: safeNumber(item.nextRetryUnixMs) }),
    ...(item.waitingFor === "" ? {} : { waitingFor: item.waitingFor.slice(0, MAX_TEXT) }),
    ...(item.nack === undefined
      ? {}
      : {
          nack: {
            class: item.nack.class,
            retryable: item.nack.retryable,
            reason: item.nack.reason.slice(0, MAX_TEXT),
            detail: item.nack.detail.slice(0, MAX_TEXT),
          },
        }),
  };
}

/** Reads {@link itemLevelJson}; undefined for anything else. */
export function parseItemLevel(value: JsonValue | undefined): StoredItemLevel | undefined {
  if (!isJsonObject(value)) return undefined;
  const { kind, name, version, digest, level, at } = value;
  if (typeof kind !== "string" || typeof name !== "string" || typeof digest !== "string") return undefined;
  const known = ALL_LEVELS.find((candidate) => candidate === level);
  if (known === undefined) return undefined;
  const nack = parseNack(value["nack"]);
  const reached = Array.isArray(value["reached"]) ? (value["reached"] as readonly JsonValue[]) : [];
  const report = create(ItemReportSchema, {
    kind,
    name,
    version: counter(version),
    digest,
    level: known,
    atUnixMs: counter(at),
    nextRetryUnixMs: counter(value["retryAt"]),
    waitingFor: text(value["waitingFor"]),
    ...(nack === undefined ? {} : { nack }),
  });
  return { report, reachedMs: ALL_LEVELS.map((level) => Number(counter(reached[level]))) };
}

function parseNack(value: JsonValue | undefined): Nack | undefined {
  if (!isJsonObject(value)) return undefined;
  const found = ALL_CLASSES.find((candidate) => candidate === value["class"]) ?? NackClass.INTERNAL;
  return create(NackSchema, {
    class: found,
    retryable: value["retryable"] === true,
    reason: text(value["reason"]),
    detail: text(value["detail"]),
  });
}

function counter(value: JsonValue | undefined): bigint {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? BigInt(value) : 0n;
}

function text(value: JsonValue | undefined): string {
  return typeof value === "string" ? value : "";
}

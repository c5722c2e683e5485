import { create } from "@bufbuild/protobuf";
import {
  type RevocationPush,
  RevocationPushSchema,
} from "../../../api/gen/conductor/federation/v1alpha1/commands_pb.ts";
import type { ConfigMapObject } from "../../../api/builtin.ts";
import { snapshotName } from "../../../api/names.ts";
import { SeamError } from "../../../base/errors.ts";
import { type JsonObject, type JsonValue, isJsonObject } from "../../../base/json.ts";
import type { IndexRevocation } from "../../index/index-document.ts";
import { compareRevocations } from "../../index/index-order.ts";
import { REVOCATION_TARGETS, type RevocationTarget, encodeRevocation } from "../../revocation/revocation-body.ts";
import { PAYLOAD_TYPES, type Signer, encodeEnvelope, signEnvelope } from "../../../trust/dsse.ts";

/** What a revocation withdraws on one cluster. */
export interface RevocationOrder {
  readonly revocationId: string;
  readonly target: RevocationTarget;
  /** PackInstalled name, snapshot name, or the cluster id. */
  readonly name: string;
  /** Namespace of the object on the management cluster. */
  readonly namespace: string;
  /** For people. */
  readonly reason: string;
  /** Packs: lowest serial that may still be applied. Snapshots and clusters: lowest snapshot sequence that may still be served. */
  readonly floor: number;
  /** User of the operator's certificate. */
  readonly orderedBy: string;
  /** Name the operator gave: the PackDelivery or the cluster. */
  readonly orderedName: string;
  /**
   * Unix milliseconds by which what was revoked has run out on an agent that never hears of it: the end of the newest content that was
   * signed before. 0 when the agent can hold none.
   */
  readonly boundedAtMs: number;
}

/** One revocation of one cluster as it is stored. */
export interface RevocationRecord extends RevocationOrder {
  /** Rises by one per cluster. */
  readonly serial: number;
  /** Unix milliseconds. */
  readonly createdAtMs: number;
  /** DSSE envelope (JSON), base64. */
  readonly envelope: string;
  /** Set when the agent answered. */
  readonly outcome?: RevocationOutcome;
}

/** What an agent answered. */
export interface RevocationOutcome {
  readonly applied: boolean;
  readonly detail: string;
  /** When the hub had the answer, Unix milliseconds. */
  readonly atMs: number;
  /** When it took effect, Unix milliseconds by the agent's clock; absent when only the index or Hello says that it is in force. */
  readonly effectiveAtMs?: number;
}

/** Everything stored for one cluster. */
export interface RevocationLedger {
  /** Highest serial ever given; survives the records. */
  readonly lastSerial: number;
  /** Ascending by serial. */
  readonly records: readonly RevocationRecord[];
}

/** Most records kept per cluster; acknowledged ones leave first. */
export const MAX_REVOCATIONS = 500;
/** Bound of a revocation that was stored without one, after its creation, milliseconds: far above any validity that is signed. */
const UNKNOWN_BOUND_MS = 30 * 24 * 3_600_000;
/** Data key of the ConfigMap. */
export const LEDGER_KEY = "ledger";

/** Reads a cluster's ConfigMap; an absent one is an empty ledger. @throws SeamError `RevocationsUnreadable` */
export function readLedger(configMap: ConfigMapObject | undefined): RevocationLedger {
  const text = configMap?.data?.[LEDGER_KEY];
  if (text === undefined) return { lastSerial: 0, records: [] };
  const ledger = parseLedger(text);
  if (ledger === undefined)
    throw new SeamError({
      reason: "RevocationsUnreadable",
      object: `ConfigMap ${configMap?.metadata.namespace}/${configMap?.metadata.name}`,
      field: `data.${LEDGER_KEY}`,
      expected: "expected the ledger the hub wrote",
      remedy: "restore it from a backup: serials must never be given twice",
    });
  return ledger;
}

/** Text of a ledger. */
export function ledgerText(ledger: RevocationLedger): string {
  return JSON.stringify(ledger);
}

/**
 * Adds a revocation, signed. Idempotent by id and name: the record that stands is returned with the same ledger.
 *
 * @throws SeamError `TooManyRevocations` when the agent acknowledged none of {@link MAX_REVOCATIONS}
 */
export function addRevocation(
  ledger: RevocationLedger,
  cluster: string,
  order: RevocationOrder,
  parts: { readonly nowMs: number; readonly signer: Signer },
): { readonly ledger: RevocationLedger; readonly record: RevocationRecord } {
  const same = ledger.records.find((held) => held.revocationId === order.revocationId && held.name === order.name);
  if (same !== undefined) return { ledger, record: same };
  const serial = ledger.lastSerial + 1;
  const record: RevocationRecord = {
    ...order,
    serial,
    createdAtMs: parts.nowMs,
    envelope: Buffer.from(
      encodeEnvelope(
        signEnvelope(PAYLOAD_TYPES.revocation, signedBody(cluster, order, serial, parts.nowMs), parts.signer),
      ),
    ).toString("base64"),
  };
  const records = [...ledger.records, record];
  while (records.length > MAX_REVOCATIONS) {
    const oldest = records.findIndex((held) => held.outcome?.applied === true);
    if (oldest < 0)
      throw new SeamError({
        reason: "TooManyRevocations",
        object: `cluster ${cluster}`,
        expected: `at most ${MAX_REVOCATIONS} revocations without acknowledgement`,
        remedy: "deny the cluster as a whole, or bring its agent back",
      });
    records.splice(oldest, 1);
  }
  return { ledger: { lastSerial: serial, records }, record };
}

/** Records the agent's answer; the same ledger when nothing changes. */
export function acknowledgeRevocation(
  ledger: RevocationLedger,
  serial: number,
  outcome: RevocationOutcome,
): RevocationLedger {
  const held = ledger.records.find((record) => record.serial === serial);
  if (held === undefined || held.outcome?.applied === true) return ledger;
  if (held.outcome?.detail === outcome.detail && !outcome.applied) return ledger;
  return {
    ...ledger,
    records: ledger.records.map((record) => (record === held ? Object.assign({}, record, { outcome }) : record)),
  };
}

/** Highest floor per target: what every later index of the cluster repeats, so that a lost push heals. Sorted, unique. */
export function revocationFloors(records: readonly RevocationRecord[]): readonly IndexRevocation[] {
  const floors = new Map<string, IndexRevocation>();
  for (const record of records) {
    const { floor, serial } = record;
    // A cluster is cut off by the deny list; should it come back one day, its old snapshot must not.
    const target = record.target === "Cluster" ? "PermissionSnapshot" : record.target;
    const name = record.target === "Cluster" ? snapshotName(record.name) : record.name;
    if (floor === 0) continue;
    const key = `${target}/${name}`;
    if (floor > (floors.get(key)?.floor ?? 0)) floors.set(key, { target, name, floor, serial });
  }
  return [...floors.values()].sort(compareRevocations);
}

/** The frame of a record. */
export function revocationPush(record: RevocationRecord): RevocationPush {
  return create(RevocationPushSchema, {
    target: record.target,
    resourceName: record.name,
    namespace: record.namespace,
    revocationId: record.revocationId,
    serial: BigInt(record.serial),
    reason: record.reason,
    ...mapFloors(record, BigInt),
    effectiveUnixMs: BigInt(record.createdAtMs),
    envelope: Buffer.from(record.envelope, "base64"),
  });
}

function signedBody(cluster: string, order: RevocationOrder, serial: number, nowMs: number): Uint8Array {
  const { target, name, namespace, revocationId, reason } = order;
  const floors = mapFloors(order, Number);
  return encodeRevocation({
    cluster,
    target,
    name,
    namespace,
    revocationId,
    serial,
    reason,
    ...floors,
    effectiveUnixMs: nowMs,
  });
}

/** A floor is a serial for packs and a sequence of the permission snapshot for everything else. */
function mapFloors<T>(
  { target, floor }: Pick<RevocationOrder, "target" | "floor">,
  as: (floor: number) => T,
): { readonly minSequence: T; readonly minSerial: T } {
  const isPack = target === "PackInstalled";
  return { minSequence: as(isPack ? 0 : floor), minSerial: as(isPack ? floor : 0) };
}

function parseLedger(text: string): RevocationLedger | undefined {
  let value: JsonValue;
  try {
    value = JSON.parse(text) as JsonValue;
  } catch {
    return undefined; // the caller names the object that holds it
  }
  if (!isJsonObject(value)) return undefined;
  const { lastSerial, records } = value;
  if (typeof lastSerial !== "number" || !Array.isArray(records)) return undefined;
  const parsed = (records as readonly JsonValue[]).map(parseRecord);
  return parsed.every((record) => record !== undefined) ? { lastSerial, records: parsed } : undefined;
}

function parseRecord(value: JsonValue): RevocationRecord | undefined {
  if (!isJsonObject(value)) return undefined;
  const target = REVOCATION_TARGETS.find((known) => known === value["target"]);
  const { serial, floor, createdAtMs } = value;
  if (
    target === undefined ||
    typeof serial !== "number" ||
    typeof floor !== "number" ||
    typeof createdAtMs !== "number"
  )
    return undefined;
  const outcome = parseOutcome(value["outcome"]);
  const { boundedAtMs } = value;
  return {
    // Ledgers of the first version do not say.
    boundedAtMs: typeof boundedAtMs === "number" ? boundedAtMs : createdAtMs + UNKNOWN_BOUND_MS,
    target,
    serial,
    floor,
    createdAtMs,
    revocationId: text(value, "revocationId"),
    name: text(value, "name"),
    namespace: text(value, "namespace"),
    reason: text(value, "reason"),
    orderedBy: text(value, "orderedBy"),
    orderedName: text(value, "orderedName"),
    envelope: text(value, "envelope"),
    ...(outcome === undefined ? {} : { outcome }),
  };
}

function parseOutcome(value: JsonValue | undefined): RevocationRecord["outcome"] {
  if (!isJsonObject(value)) return undefined;
  const { applied, atMs, effectiveAtMs } = value;
  return {
    applied: applied === true,
    detail: text(value, "detail"),
    atMs: typeof atMs === "number" ? atMs : 0,
    ...(typeof effectiveAtMs === "number" ? { effectiveAtMs } : {}),
  };
}

function text(object: JsonObject, key: string): string {
  const value = object[key];
  return typeof value === "string" ? value : "";
}

import { parseCanonicalJson } from "../../base/canonical-json.ts";
import { type Digest, isDigest } from "../../base/digest.ts";
import { type JsonObject, type JsonValue, isJsonObject } from "../../base/json.ts";
import {
  type BlobRef,
  type IndexDocument,
  type IndexItem,
  type IndexRevocation,
  type ItemKind,
  MAX_BLOB_BYTES,
  MAX_INDEX_BYTES,
  MAX_INDEX_ITEMS,
} from "./index-document.ts";
import { compareItems, compareRevocations } from "./index-order.ts";

/** Most refs of one item. */
export const MAX_ITEM_REFS = 256;
/** Most revocations in one index. */
export const MAX_INDEX_REVOCATIONS = 10_000;
/** Longest kind or name, UTF-16 code units (DNS-1123 subdomain). */
export const MAX_NAME_LENGTH = 253;

/** A document, or the field that breaks a rule. */
export type ParsedIndex =
  | { readonly ok: true; readonly document: IndexDocument }
  | { readonly ok: false; readonly field: string; readonly expected: string };

/** A part of a document, or the field that breaks a rule. */
export type ParsedItem =
  | { readonly ok: true; readonly item: IndexItem }
  | { readonly ok: false; readonly field: string; readonly expected: string };

/** Reads the canonical body of an index. Never throws: malformed is an answer. */
export function parseIndex(body: Uint8Array): ParsedIndex {
  if (body.length > MAX_INDEX_BYTES) return broken("", `at most ${MAX_INDEX_BYTES} bytes`);
  let value: JsonValue;
  try {
    value = parseCanonicalJson(body);
  } catch {
    return broken("", "one RFC 8785 canonical JSON object"); // which rule it broke helps nobody: no honest signer writes it
  }
  return readDocument(value);
}

/** Checks every rule of the format on a parsed value. Unknown members are refused: nobody signs what we cannot read. */
export function readDocument(value: JsonValue): ParsedIndex {
  if (!isJsonObject(value)) return broken("", "an object");
  const unknown = unknownMember(value, DOCUMENT_MEMBERS);
  if (unknown !== undefined) return broken(unknown, "no such member");
  const { _type, cluster, epoch, sequence, issuedAt, expiresAt, keyId, items, revocations } = value;
  if (_type !== "FederationIndex/v1") return broken("_type", '"FederationIndex/v1"');
  if (!isName(cluster)) return broken("cluster", "a name of 1 to 253 characters");
  if (!isPositive(epoch)) return broken("epoch", "a positive safe integer");
  if (!isPositive(sequence)) return broken("sequence", "a positive safe integer");
  if (!isTime(issuedAt)) return broken("issuedAt", "an RFC 3339 time");
  if (!isTime(expiresAt)) return broken("expiresAt", "an RFC 3339 time");
  if (typeof keyId !== "string" || keyId.length > 128) return broken("keyId", "a key id");
  if (!Array.isArray(items) || items.length > MAX_INDEX_ITEMS)
    return broken("items", `at most ${MAX_INDEX_ITEMS} items`);
  if (!Array.isArray(revocations) || revocations.length > MAX_INDEX_REVOCATIONS)
    return broken("revocations", `at most ${MAX_INDEX_REVOCATIONS} revocations`);

  const readItems: IndexItem[] = [];
  for (const entry of items as readonly JsonValue[]) {
    const at = `items[${readItems.length}]`;
    const read = readItem(entry);
    if (!read.ok) return broken(`${at}.${read.field}`, read.expected);
    const previous = readItems.at(-1);
    if (previous !== undefined && compareItems(previous, read.item) >= 0)
      return broken(at, "items sorted by (kind, name), each once");
    if (read.item.version > sequence) return broken(`${at}.version`, `at most the sequence ${sequence}`);
    readItems.push(read.item);
  }
  const readRevocations: IndexRevocation[] = [];
  for (const entry of revocations as readonly JsonValue[]) {
    const at = `revocations[${readRevocations.length}]`;
    const revocation = readRevocation(entry);
    if (revocation === undefined) return broken(at, "{target, name, floor, serial}");
    const previous = readRevocations.at(-1);
    if (previous !== undefined && compareRevocations(previous, revocation) >= 0)
      return broken(at, "revocations sorted by (target, name), each once");
    readRevocations.push(revocation);
  }
  return {
    ok: true,
    document: {
      _type,
      cluster,
      epoch,
      sequence,
      issuedAt,
      expiresAt,
      keyId,
      items: readItems,
      revocations: readRevocations,
    },
  };
}

/** Checks every rule of one item that does not depend on its neighbours. */
export function readItem(value: JsonValue | undefined): ParsedItem {
  if (!isJsonObject(value)) return broken("", "an object");
  const unknown = unknownMember(value, ITEM_MEMBERS);
  if (unknown !== undefined) return broken(unknown, "no such member");
  const { kind, name, version, digest, size, deleted, refs } = value;
  if (typeof kind !== "string" || !KIND.test(kind)) return broken("kind", "a CamelCase kind of at most 63 characters");
  if (!isName(name)) return broken("name", "a name of 1 to 253 characters");
  if (!isPositive(version)) return broken("version", "a positive safe integer");
  if (deleted !== undefined && deleted !== true) return broken("deleted", "true or absent");
  if (!isSize(size)) return broken("size", `0 to ${MAX_BLOB_BYTES} bytes`);
  const body = readDigest(digest, deleted === true && size === 0);
  if (body === undefined) return broken("digest", "sha256: and 64 hex digits; empty only for a tombstone without body");
  const common = { kind: kind as ItemKind, name, version, digest: body, size }; // a kind unknown to this build is nacked, not refused
  const withDeleted = deleted === true ? { ...common, deleted } : common;
  if (refs === undefined) return { ok: true, item: withDeleted };
  if (!Array.isArray(refs) || refs.length > MAX_ITEM_REFS) return broken("refs", `at most ${MAX_ITEM_REFS} refs`);
  const read: BlobRef[] = [];
  for (const entry of refs as readonly JsonValue[]) {
    if (!isJsonObject(entry) || unknownMember(entry, REF_MEMBERS) !== undefined)
      return broken("refs", "{digest, size}");
    if (typeof entry["digest"] !== "string" || !isDigest(entry["digest"])) return broken("refs", "a digest");
    if (!isSize(entry["size"])) return broken("refs", `a size of 0 to ${MAX_BLOB_BYTES} bytes`);
    read.push({ digest: entry["digest"], size: entry["size"] });
  }
  return { ok: true, item: { ...withDeleted, refs: read } };
}

function readRevocation(value: JsonValue | undefined): IndexRevocation | undefined {
  if (!isJsonObject(value) || unknownMember(value, REVOCATION_MEMBERS) !== undefined) return undefined;
  const { target, name, floor, serial } = value;
  if (target !== "PackInstalled" && target !== "PermissionSnapshot") return undefined;
  if (!isName(name) || !isCount(floor) || !isCount(serial)) return undefined;
  return { target, name, floor, serial };
}

const KIND = /^[A-Z][A-Za-z0-9]{0,62}$/;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/;
const DOCUMENT_MEMBERS: ReadonlySet<string> = new Set([
  "_type",
  "cluster",
  "epoch",
  "sequence",
  "issuedAt",
  "expiresAt",
  "keyId",
  "items",
  "revocations",
]);
const ITEM_MEMBERS: ReadonlySet<string> = new Set(["kind", "name", "version", "digest", "size", "deleted", "refs"]);
const REF_MEMBERS: ReadonlySet<string> = new Set(["digest", "size"]);
const REVOCATION_MEMBERS: ReadonlySet<string> = new Set(["target", "name", "floor", "serial"]);

function unknownMember(object: JsonObject, known: ReadonlySet<string>): string | undefined {
  // What JSON.parse made has no members but its own, and a list of their names would be garbage at once.
  for (const key in object) if (object[key] !== undefined && !known.has(key)) return key;
  return undefined;
}

function readDigest(value: JsonValue | undefined, mayBeEmpty: boolean): Digest | "" | undefined {
  if (typeof value !== "string") return undefined;
  if (isDigest(value)) return value;
  return value === "" && mayBeEmpty ? "" : undefined;
}

function isName(value: JsonValue | undefined): value is string {
  return typeof value === "string" && value.length > 0 && value.length <= MAX_NAME_LENGTH;
}

function isCount(value: JsonValue | undefined): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function isPositive(value: JsonValue | undefined): value is number {
  return isCount(value) && value > 0;
}

function isSize(value: JsonValue | undefined): value is number {
  return isCount(value) && value <= MAX_BLOB_BYTES;
}

function isTime(value: JsonValue | undefined): value is string {
  return typeof value === "string" && TIME.test(value) && !Number.isNaN(Date.parse(value));
}

function broken(
  field: string,
  expected: string,
): { readonly ok: false; readonly field: string; readonly expected: string } {
  return { ok: false, field, expected };
}

import { canonicalJson } from "../../base/canonical-json.ts";
import { SeamError } from "../../base/errors.ts";
import type { JsonObject } from "../../base/json.ts";
import { type Signer, PAYLOAD_TYPES, type SignedEnvelope, signEnvelope } from "../../trust/dsse.ts";
import { type IndexDocument, type IndexItem, type IndexRevocation, MAX_INDEX_BYTES } from "./index-document.ts";
import { compareItems, compareRevocations } from "./index-order.ts";
import { readDocument } from "./parse-index.ts";

/**
 * Canonical body of an index: RFC 8785, items sorted by (kind, name), revocations by (target, name). Equal content has equal bytes.
 *
 * @throws SeamError `IndexInvalid` when the document breaks a rule of its format (duplicate item, version above the sequence, …) or
 *   exceeds a limit
 */
export function encodeIndex(document: IndexDocument): Uint8Array {
  const sorted: IndexDocument = {
    ...document,
    items: [...document.items].sort(compareItems),
    revocations: [...document.revocations].sort(compareRevocations),
  };
  const json = documentJson(sorted);
  const checked = readDocument(json);
  if (!checked.ok)
    throw new SeamError({
      reason: "IndexInvalid",
      object: `federation index of ${document.cluster}`,
      field: checked.field,
      expected: checked.expected,
    });
  const body = Buffer.from(canonicalJson(json));
  if (body.length > MAX_INDEX_BYTES)
    throw new SeamError({
      reason: "IndexInvalid",
      object: `federation index of ${document.cluster}`,
      expected: `the canonical body is at most ${MAX_INDEX_BYTES} bytes, found ${body.length}`,
      remedy: "split the cluster's desired state or shorten names",
    });
  return body;
}

/** Encodes and signs an index once; every stream then carries the same bytes (lessons §4.8). */
export function signIndex(document: IndexDocument, signer: Signer): SignedEnvelope {
  return signEnvelope(PAYLOAD_TYPES.index, encodeIndex(document), signer);
}

/** Canonical JSON of one item, as diffs and ranges carry it. */
export function encodeItem(item: IndexItem): Uint8Array {
  return Buffer.from(canonicalJson(itemJson(item)));
}

/** Canonical JSON of an index with an empty item list, as diffs and ranges carry it. */
export function encodeHeader(document: IndexDocument): Uint8Array {
  return Buffer.from(canonicalJson(documentJson({ ...document, items: [] })));
}

/** JSON form of a document in its own item order. Members stand in canonical order here and below: nothing is sorted to encode them. */
export function documentJson(document: IndexDocument): JsonObject {
  return {
    _type: document._type,
    cluster: document.cluster,
    epoch: document.epoch,
    expiresAt: document.expiresAt,
    issuedAt: document.issuedAt,
    items: document.items.map(itemJson),
    keyId: document.keyId,
    revocations: document.revocations.map(revocationJson),
    sequence: document.sequence,
  };
}

/** JSON form of one item. */
export function itemJson(item: IndexItem): JsonObject {
  return {
    deleted: item.deleted,
    digest: item.digest,
    kind: item.kind,
    name: item.name,
    refs: item.refs?.map((ref) => ({ digest: ref.digest, size: ref.size })),
    size: item.size,
    version: item.version,
  };
}

function revocationJson(revocation: IndexRevocation): JsonObject {
  return {
    floor: revocation.floor,
    name: revocation.name,
    serial: revocation.serial,
    target: revocation.target,
  };
}

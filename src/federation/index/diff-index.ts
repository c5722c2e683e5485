import { canonicalJson, parseCanonicalJson } from "../../base/canonical-json.ts";
import type { JsonValue } from "../../base/json.ts";
import { isJsonObject } from "../../base/json.ts";
import { documentJson, itemJson } from "./encode-index.ts";
import { type IndexDocument, type IndexItem, MAX_INDEX_BYTES, MAX_INDEX_ITEMS, itemKey } from "./index-document.ts";
import { compareItems } from "./index-order.ts";
import { parseIndex, readItem } from "./parse-index.ts";

/** Parts of an IndexDiff message, without the signatures of the whole. */
export interface IndexDiffParts {
  /** Digest of the body that the diff applies to. */
  readonly baseDigest: string;
  /** Canonical JSON of the new index with an empty item list. */
  readonly header: Uint8Array;
  /** Canonical JSON of each added or changed item. */
  readonly changed: readonly Uint8Array[];
  /** `kind/name` of each item that left. */
  readonly dropped: readonly string[];
}

/** Expresses `to` against `from`; `applyDiff` on the other side rebuilds exactly the canonical body of `to`. */
export function diffIndexes(from: IndexDocument, fromDigest: string, to: IndexDocument): IndexDiffParts {
  const before = new Map<string, IndexItem>();
  for (const item of from.items) before.set(itemKey(item), item);
  const changed: Uint8Array[] = [];
  for (const item of to.items) {
    const key = itemKey(item);
    const old = before.get(key);
    before.delete(key);
    if (old === undefined || !sameItem(old, item)) changed.push(encodeItem(item));
  }
  return {
    baseDigest: fromDigest,
    header: encodeHeader(to),
    changed,
    dropped: [...before.keys()],
  };
}

/**
 * Rebuilds the canonical body that a diff describes; undefined when the parts are malformed or larger than an index may be. The
 * result is as trustworthy as its signature: verify it like a full offer.
 */
export function applyDiff(base: IndexDocument, parts: IndexDiffParts): Uint8Array | undefined {
  if (parts.dropped.length > MAX_INDEX_ITEMS) return undefined;
  const items = new Map<string, IndexItem>();
  for (const item of base.items) items.set(itemKey(item), item);
  for (const key of parts.dropped) if (!items.delete(key)) return undefined;
  return rebuildIndex(parts.header, items, parts.changed);
}

/**
 * The canonical body of an index from its header, the items that stay (taken over and added to) and those that are said, each as
 * canonical JSON; undefined when something is malformed or larger than an index may be.
 */
export function rebuildIndex(
  header: Uint8Array,
  items: Map<string, IndexItem>,
  said: readonly Uint8Array[],
): Uint8Array | undefined {
  if (said.length > MAX_INDEX_ITEMS) return undefined;
  const parsed = parseIndex(header);
  if (!parsed.ok || parsed.document.items.length > 0) return undefined;
  let bytes = header.length;
  for (const encoded of said) {
    bytes += encoded.length;
    if (bytes > MAX_INDEX_BYTES) return undefined;
    const value = parseItemJson(encoded);
    const read = value === undefined ? undefined : readItem(value);
    if (read === undefined || !read.ok) return undefined;
    items.set(itemKey(read.item), read.item);
  }
  if (items.size > MAX_INDEX_ITEMS) return undefined;
  const merged: IndexDocument = { ...parsed.document, items: [...items.values()].sort(compareItems) };
  return Buffer.from(canonicalJson(documentJson(merged)));
}

/** Canonical JSON of one item, as diffs and ranges carry it. */
export function encodeItem(item: IndexItem): Uint8Array {
  return Buffer.from(canonicalJson(itemJson(item)));
}

/** Canonical JSON of an index with an empty item list, as diffs and ranges carry it. */
export function encodeHeader(document: IndexDocument): Uint8Array {
  return Buffer.from(canonicalJson(documentJson({ ...document, items: [] })));
}

function parseItemJson(bytes: Uint8Array): JsonValue | undefined {
  try {
    const value = parseCanonicalJson(bytes);
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined; // malformed is an answer here; the caller asks for the full form
  }
}

/** True when two items of one key say the same. */
export function sameItem(a: IndexItem, b: IndexItem): boolean {
  return a.version === b.version && sameContent(a, b);
}

/** True when two items of one key name the same content, under whatever version: versions compare within one epoch only. */
export function sameContent(a: IndexItem, b: IndexItem): boolean {
  if (a.digest !== b.digest || a.size !== b.size || a.deleted !== b.deleted) return false;
  const [left, right] = [a.refs, b.refs];
  if (left === undefined || right === undefined) return left === right;
  if (left.length !== right.length) return false;
  for (let i = 0; i < left.length; i++) {
    if (left[i]?.digest !== right[i]?.digest || left[i]?.size !== right[i]?.size) return false;
  }
  return true;
}

import { parseCanonicalJson } from "../../base/canonical-json.ts";
import { type JsonValue, isJsonObject } from "../../base/json.ts";
import { encodeItem } from "./encode-index.ts";
import { type IndexDocument, type IndexItem, MAX_INDEX_BYTES, MAX_INDEX_ITEMS } from "./index-document.ts";
import { compareItems } from "./index-order.ts";
import { parseIndex, readItem } from "./parse-index.ts";

/** An index as document and as canonical body: each is the other. */
export interface WholeIndex {
  readonly document: IndexDocument;
  readonly body: Uint8Array;
}

/** Where the items stand in a canonical body. No string of it can hold these bytes: its quotes would be escaped. */
const ITEMS = Buffer.from('"items":[');
const BEHIND_ITEMS = Buffer.from('],"keyId":');
const COMMA = Buffer.from(",");

/**
 * The index that a base and the parts of an offer make; undefined when a part is malformed or the result larger than an index may be. It
 * is as trustworthy as its signature: verify its body.
 *
 * What stays is neither parsed nor encoded again: its bytes are copied from the body of the base, and its items are those of the base.
 *
 * @param header canonical JSON of the new index with an empty item list
 * @param leaves items of the base that do not stay
 * @param said canonical JSON of each item that is new or takes the place of one that stood in the base, in any order
 */
export function rebuildIndex(
  base: WholeIndex,
  header: Uint8Array,
  leaves: ReadonlySet<IndexItem>,
  said: readonly Uint8Array[],
): WholeIndex | undefined {
  if (said.length > MAX_INDEX_ITEMS) return undefined;
  const parsed = parseIndex(header);
  if (!parsed.ok || parsed.document.items.length > 0) return undefined;
  const added = readSaid(said, header.length);
  if (added === undefined) return undefined;
  const { items, runs } = merge(base.document.items, leaves, added);
  const { sequence } = parsed.document;
  if (items.length > MAX_INDEX_ITEMS || items.some(({ version }) => version > sequence)) return undefined;
  const body = splice(base, header, runs);
  if (body === undefined || body.length > MAX_INDEX_BYTES) return undefined;
  return { document: { ...parsed.document, items }, body };
}

/** An item that an offer brings, with its bytes. */
interface Said {
  readonly item: IndexItem;
  readonly bytes: Uint8Array;
}

/** A part of the new item list: items of the base from one position to another, or the bytes of one that was said. */
type Run = { readonly from: number; to: number } | Uint8Array;

function readSaid(said: readonly Uint8Array[], headerBytes: number): readonly Said[] | undefined {
  const read: Said[] = [];
  let total = headerBytes;
  for (const bytes of said) {
    total += bytes.length;
    if (total > MAX_INDEX_BYTES) return undefined;
    const value = parseItemJson(bytes);
    const result = value === undefined ? undefined : readItem(value);
    if (result === undefined || !result.ok) return undefined;
    read.push({ item: result.item, bytes });
  }
  read.sort((a, b) => compareItems(a.item, b.item));
  for (let at = 1; at < read.length; at++) {
    const [before, next] = [read[at - 1], read[at]];
    if (before !== undefined && next !== undefined && compareItems(before.item, next.item) === 0) return undefined;
  }
  return read;
}

/** The new item list, and how it is put together. */
function merge(
  base: readonly IndexItem[],
  leaves: ReadonlySet<IndexItem>,
  added: readonly Said[],
): { readonly items: IndexItem[]; readonly runs: readonly Run[] } {
  const items: IndexItem[] = [];
  const runs: Run[] = [];
  const say = ({ item, bytes }: Said): void => {
    items.push(item);
    runs.push(bytes);
  };
  let next = 0;
  for (const [at, item] of base.entries()) {
    let replaced = false;
    for (let said = added[next]; said !== undefined; said = added[next]) {
      const order = compareItems(said.item, item);
      if (order > 0) break;
      replaced ||= order === 0;
      say(said);
      next++;
    }
    if (replaced || leaves.has(item)) continue;
    items.push(item);
    const last = runs.at(-1);
    if (last !== undefined && "to" in last && last.to === at) last.to = at + 1;
    else runs.push({ from: at, to: at + 1 });
  }
  for (const said of added.slice(next)) say(said);
  return { items, runs };
}

/** The bytes of the header around those of the runs. Undefined when the body is not the base's. */
function splice({ document, body }: WholeIndex, header: Uint8Array, runs: readonly Run[]): Uint8Array | undefined {
  const text = bufferOf(body);
  const head = bufferOf(header);
  const headerItems = head.indexOf(ITEMS) + ITEMS.length;
  const first = text.indexOf(ITEMS) + ITEMS.length;
  const end = text.lastIndexOf(BEHIND_ITEMS);
  let known = first;
  /** Where the bytes of the item at `position` begin; one behind the last byte and its comma when there is none. */
  const startOf = (position: number): number => {
    const item = document.items[position];
    if (item === undefined) return end + 1;
    const found = position === 0 ? first : text.indexOf(encodeItem(item), known);
    known = Math.max(known, found);
    return found;
  };
  const parts: Uint8Array[] = [head.subarray(0, headerItems)];
  for (const [at, run] of runs.entries()) {
    if (at > 0) parts.push(COMMA);
    if (!("to" in run)) {
      parts.push(run);
      continue;
    }
    const from = startOf(run.from);
    const to = startOf(run.to) - 1;
    if (from < first || to < from) return undefined;
    parts.push(text.subarray(from, to));
  }
  parts.push(head.subarray(headerItems));
  return Buffer.concat(parts);
}

function bufferOf({ buffer, byteOffset, length }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, length);
}

function parseItemJson(bytes: Uint8Array): JsonValue | undefined {
  try {
    const value = parseCanonicalJson(bytes);
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined; // malformed is an answer here; the caller asks for the full form
  }
}

import { isJsonObject, type JsonObject } from "../../base/json.ts";

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;

/** Everything of a list but its items. */
const MAX_ENVELOPE_BYTES = 1024 * 1024;

/** A list whose items were handed on. */
export interface ListEnvelope {
  readonly metadata: JsonObject;
}

/**
 * Reads a Kubernetes list as it arrives and hands on its items, as many at a time as one chunk completes: the answer is never in memory as
 * a whole, and no chunk holds up the event loop for longer than it takes to parse it.
 *
 * @param onItems called with the items of the member `items` in their order
 * @param maxItemBytes a longer item is an error
 * @returns the list without its items
 * @throws Error for what is no JSON, is no list, is cut off, or has an item that is too long
 */
export async function readListItems(
  chunks: AsyncIterable<Uint8Array>,
  onItems: (items: readonly unknown[]) => void,
  maxItemBytes: number,
): Promise<ListEnvelope> {
  const reader = new ListReader(onItems, maxItemBytes);
  for await (const chunk of chunks) reader.take(chunk);
  return reader.end();
}

/** Follows brackets and strings, and nothing else, to find where items begin and end; what lies between is parsed by the engine. */
class ListReader {
  readonly #onItems: (items: readonly unknown[]) => void;
  readonly #maxItemBytes: number;
  /** What is outside of the items. */
  #envelope = "";
  /** Bytes of items, or of the envelope, that earlier chunks ended with. */
  #rest: Uint8Array[] = [];
  #restBytes = 0;
  #depth = 0;
  #inString = false;
  #escaped = false;
  #inItems = false;

  constructor(onItems: (items: readonly unknown[]) => void, maxItemBytes: number) {
    this.#onItems = onItems;
    this.#maxItemBytes = maxItemBytes;
  }

  take(chunk: Uint8Array): void {
    let depth = this.#depth;
    let inString = this.#inString;
    let escaped = this.#escaped;
    let start = 0;
    /** Where the last whole item of this chunk ends; -1 without one. */
    let whole = -1;
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at];
      if (inString) {
        if (escaped) escaped = false;
        else if (byte === BACKSLASH) escaped = true;
        else if (byte === QUOTE) inString = false;
        continue;
      }
      switch (byte) {
        case QUOTE:
          inString = true;
          break;
        case OPEN_OBJECT:
          depth++;
          break;
        case OPEN_ARRAY:
          depth++;
          if (!this.#inItems && depth === 2) {
            this.#inItems = this.#opensItems(chunk.subarray(start, at));
            start = this.#inItems ? at + 1 : at;
          }
          break;
        case CLOSE_OBJECT:
          depth--;
          break;
        case CLOSE_ARRAY:
          depth--;
          if (this.#inItems && depth === 1) {
            this.#items(chunk.subarray(start, at));
            this.#inItems = false;
            this.#envelope += "[]";
            start = at + 1;
          }
          break;
        case COMMA:
          if (this.#inItems && depth === 2) whole = at;
          break;
        default:
      }
    }
    this.#depth = depth;
    this.#inString = inString;
    this.#escaped = escaped;
    if (this.#inItems && whole >= start) {
      this.#items(chunk.subarray(start, whole));
      start = whole + 1;
    }
    this.#keep(chunk.subarray(start));
  }

  /** The list without its items. @throws Error when it is not whole */
  end(): ListEnvelope {
    this.#envelope += this.#taken(new Uint8Array());
    if (this.#inItems || this.#depth !== 0) throw new Error("the list was cut off");
    const envelope = parse(this.#envelope);
    if (!isJsonObject(envelope) || !isJsonObject(envelope["metadata"]))
      throw new Error("the API server sent something that is no list");
    return { metadata: envelope["metadata"] };
  }

  /** True when what came before an array is the name `items` of the outermost object. */
  #opensItems(before: Uint8Array): boolean {
    const text = this.#taken(before);
    this.#envelope += text;
    return /"items"\s*:\s*$/.test(this.#envelope);
  }

  #items(last: Uint8Array): void {
    const text = this.#taken(last);
    const items = parse(`[${text}]`);
    if (Array.isArray(items) && items.length > 0) this.#onItems(items);
  }

  #keep(rest: Uint8Array): void {
    if (rest.length === 0) return;
    this.#rest.push(rest);
    this.#restBytes += rest.length;
    const max = this.#inItems ? this.#maxItemBytes : MAX_ENVELOPE_BYTES;
    if (this.#restBytes > max)
      throw new Error(
        `${this.#inItems ? "an item of the list" : "the list without its items"} is longer than ${max} bytes`,
      );
  }

  #taken(last: Uint8Array): string {
    const bytes = this.#rest.length === 0 ? last : Buffer.concat([...this.#rest, last]);
    this.#rest = [];
    this.#restBytes = 0;
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Error(`the list is not JSON: ${text.slice(0, 80)}`, { cause });
  }
}

import type { JsonObject, JsonValue } from "../../../base/json.ts";
import { rfc3339Seconds } from "../../../base/clock.ts";
import { MESSAGES, ROOTS } from "../../built-in-messages.ts";
import { messagePairs } from "../../message-pairs.ts";
import { WireReader } from "./wire-reader.ts";

/** Media type in which typed Go clients, kubectl's generators among them, send built-in kinds. */
export const PROTOBUF_MEDIA_TYPE = "application/vnd.kubernetes.protobuf";

/** `k8s` and a zero byte stand before the envelope. */
const MAGIC = [0x6b, 0x38, 0x73, 0x00];
/** Messages within messages. */
const MAX_DEPTH = 64;

interface Field {
  readonly name: string;
  readonly inline: boolean;
  readonly keepsEmpty: boolean;
  readonly shape: "single" | "list" | "map";
  /** A scalar letter, or the id of a message. */
  readonly type: string;
}

type Message = ReadonlyMap<number, Field>;

/** Decodes the protobuf form of built-in kinds into the JSON form, with Go's rules for empty values. */
export class ProtobufDecoder {
  readonly #roots: ReadonlyMap<string, string>;
  readonly #lines: ReadonlyMap<string, string>;
  readonly #messages = new Map<string, Message>();

  constructor() {
    this.#roots = messagePairs(ROOTS);
    this.#lines = messagePairs(MESSAGES);
  }

  /**
   * Decodes an enveloped object.
   *
   * @returns undefined for a kind that has no protobuf form here
   * @throws RangeError for bytes that are no such object
   */
  decode(bytes: Uint8Array): JsonObject | undefined {
    if (MAGIC.some((byte, index) => bytes[index] !== byte))
      throw new RangeError("the body does not begin with k8s and a zero byte");
    const envelope = new WireReader(bytes.subarray(MAGIC.length));
    let apiVersion = "";
    let kind = "";
    let raw: Uint8Array = new Uint8Array();
    while (!envelope.done) {
      const { number, wireType } = envelope.tag();
      if (number === 1 && wireType === 2) [apiVersion, kind] = typeMeta(envelope.bytes());
      else if (number === 2 && wireType === 2) raw = envelope.bytes();
      else envelope.skip(wireType);
    }
    const root =
      this.#roots.get(`${apiVersion}/${kind}`) ??
      (kind === "DeleteOptions" ? this.#roots.get("v1/DeleteOptions") : undefined);
    return root === undefined ? undefined : { apiVersion, kind, ...this.#object(root, raw, 0) };
  }

  #object(id: string, bytes: Uint8Array, depth: number): Record<string, JsonValue> {
    if (depth > MAX_DEPTH) throw new RangeError(`more than ${MAX_DEPTH} messages within messages`);
    const fields = this.#message(id);
    const reader = new WireReader(bytes);
    const out: Record<string, JsonValue> = {};
    const lists = new Map<string, JsonValue[]>();
    const maps = new Map<string, Record<string, JsonValue>>();
    while (!reader.done) {
      const { number, wireType } = reader.tag();
      const field = fields.get(number);
      if (field === undefined) {
        reader.skip(wireType);
        continue;
      }
      if (field.shape === "map") {
        const map = entry(maps, field.name, (): Record<string, JsonValue> => ({}));
        const [key, value] = this.#mapEntry(field.type, reader.bytes(), depth);
        map[key] = value;
        out[field.name] = map;
      } else if (field.shape === "list") {
        const list = entry(lists, field.name, () => []);
        list.push(this.#value(field.type, reader, wireType, depth));
        out[field.name] = list;
      } else {
        const value = this.#value(field.type, reader, wireType, depth);
        if (field.inline) Object.assign(out, value);
        else if (field.keepsEmpty || !isEmpty(value)) out[field.name] = value;
      }
    }
    return out;
  }

  #mapEntry(type: string, bytes: Uint8Array, depth: number): readonly [string, JsonValue] {
    const reader = new WireReader(bytes);
    let key = "";
    let value: JsonValue = type === "s" || type === "b" ? "" : type.length === 1 ? 0 : {};
    while (!reader.done) {
      const { number, wireType } = reader.tag();
      if (number === 1) key = utf8(reader.bytes());
      else if (number === 2) value = this.#value(type, reader, wireType, depth);
      else reader.skip(wireType);
    }
    return [key, value];
  }

  #value(type: string, reader: WireReader, wireType: number, depth: number): JsonValue {
    if (type === "i") return Number(BigInt.asIntN(64, scalar(wireType, 0, reader).varint()));
    if (type === "t") return scalar(wireType, 0, reader).varint() !== 0n;
    if (type === "d") return scalar(wireType, 1, reader).double();
    const bytes = scalar(wireType, 2, reader).bytes();
    switch (type) {
      case "s":
        return utf8(bytes);
      case "b":
        return Buffer.from(bytes).toString("base64");
      case "Time":
        return time(bytes, rfc3339Seconds);
      case "MicroTime":
        return time(
          bytes,
          (ms, nanos) => `${rfc3339Seconds(ms).slice(0, -1)}.${String(Math.trunc(nanos / 1000)).padStart(6, "0")}Z`,
        );
      case "Quantity":
        return utf8(member(bytes, 1) ?? new Uint8Array());
      case "IntOrString":
        return intOrString(bytes);
      case "Raw":
        return rawJson(member(bytes, 1));
      case "Items":
        return members(bytes, 1).map(utf8);
      default:
        return this.#object(type, bytes, depth + 1);
    }
  }

  #message(id: string): Message {
    const known = this.#messages.get(id);
    if (known !== undefined) return known;
    const line = this.#lines.get(id) ?? "";
    const message: Message = new Map(line.split(" ").flatMap(parseField));
    this.#messages.set(id, message);
    return message;
  }
}

function parseField(text: string): readonly (readonly [number, Field])[] {
  const match = /^(\d+)([=!]?)([^:]*):(\*|\[\]|\{\})?\.?(\w+)$/.exec(text);
  if (match === null) return [];
  const [, number, flag, name = "", prefix = "", type = ""] = match;
  return [
    [
      Number(number),
      {
        name,
        inline: flag === "=",
        keepsEmpty: flag === "!" || prefix === "*",
        shape: prefix === "[]" ? "list" : prefix === "{}" ? "map" : "single",
        type,
      },
    ],
  ];
}

function scalar(wireType: number, expected: number, reader: WireReader): WireReader {
  if (wireType !== expected) throw new RangeError(`a value has wire type ${wireType} instead of ${expected}`);
  return reader;
}

function typeMeta(bytes: Uint8Array): [string, string] {
  return [utf8(member(bytes, 1) ?? new Uint8Array()), utf8(member(bytes, 2) ?? new Uint8Array())];
}

function members(bytes: Uint8Array, wanted: number): readonly Uint8Array[] {
  const reader = new WireReader(bytes);
  const found: Uint8Array[] = [];
  while (!reader.done) {
    const { number, wireType } = reader.tag();
    if (number === wanted && wireType === 2) found.push(reader.bytes());
    else reader.skip(wireType);
  }
  return found;
}

function member(bytes: Uint8Array, wanted: number): Uint8Array | undefined {
  return members(bytes, wanted).at(-1);
}

function numbers(bytes: Uint8Array): ReadonlyMap<number, number> {
  const reader = new WireReader(bytes);
  const found = new Map<number, number>();
  while (!reader.done) {
    const { number, wireType } = reader.tag();
    if (wireType === 0) found.set(number, Number(BigInt.asIntN(64, reader.varint())));
    else reader.skip(wireType);
  }
  return found;
}

/** Go's zero time is an empty message and shows as nothing. */
function time(bytes: Uint8Array, show: (ms: number, nanos: number) => string): JsonValue {
  const parts = numbers(bytes);
  const seconds = parts.get(1);
  return seconds === undefined ? null : show(seconds * 1000, parts.get(2) ?? 0);
}

function intOrString(bytes: Uint8Array): JsonValue {
  const parts = numbers(bytes);
  return parts.get(1) === 1 ? utf8(member(bytes, 3) ?? new Uint8Array()) : (parts.get(2) ?? 0);
}

function rawJson(bytes: Uint8Array | undefined): JsonValue {
  if (bytes === undefined || bytes.length === 0) return null;
  try {
    return JSON.parse(utf8(bytes)) as JsonValue;
  } catch (cause) {
    throw new RangeError("a member that holds JSON does not", { cause });
  }
}

function utf8(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
}

/** What Go's `omitempty` leaves out: zero values, but never a struct. */
function isEmpty(value: JsonValue): boolean {
  return value === null || value === "" || value === 0 || value === false;
}

function entry<V>(map: Map<string, V>, key: string, make: () => V): V {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}

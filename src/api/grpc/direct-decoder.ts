import { type DescField, type DescMessage, type MessageShape, ScalarType, create } from "@bufbuild/protobuf";

const WIRE_VARINT = 0;
const WIRE_64 = 1;
const WIRE_BYTES = 2;
const WIRE_32 = 5;
/** Deeper nesting is no message of ours. */
const MAX_DEPTH = 16;
/** Above this a varint no longer fits a number: nothing we read is that large. */
const MAX_SHIFT = 2 ** 49;

/** Short texts that a decoder remembers; a power of two. */
const REMEMBERED_TEXTS = 4_096;
/** Longer texts are not worth remembering, bytes. */
const MAX_REMEMBERED_BYTES = 64;

/** Bytes being read. */
class Input {
  buffer: Buffer = Buffer.alloc(0);
  at = 0;
  readonly #strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  /** Short texts seen lately, one to a hash: questions repeat verbs, groups and names all day, and a known string is also found faster. */
  readonly #texts: (string | undefined)[] = Array.from({ length: REMEMBERED_TEXTS });

  /** An unsigned varint below 2^53. @throws RangeError */
  varint(end: number): number {
    let value = 0;
    let factor = 1;
    for (;;) {
      if (this.at >= end) throw new RangeError("the message ends within a number");
      const byte = this.buffer[this.at++] ?? 0;
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
      factor *= 0x80;
      if (factor > MAX_SHIFT) throw new RangeError("a number is larger than 2^53");
    }
  }

  /** End of a field with a length. @throws RangeError */
  end(end: number): number {
    const length = this.varint(end);
    if (length > end - this.at) throw new RangeError("the message ends within a field");
    return this.at + length;
  }

  /** @throws TypeError for bytes that are no UTF-8 */
  text(end: number): string {
    const { buffer } = this;
    const start = this.at;
    this.at = end;
    const length = end - start;
    if (length === 0) return "";
    if (length > MAX_REMEMBERED_BYTES) return this.#strict.decode(buffer.subarray(start, end));
    let hash = 0;
    for (let i = start; i < end; i++) {
      const byte = buffer[i] ?? 0;
      if (byte >= 0x80) return this.#strict.decode(buffer.subarray(start, end));
      hash = (Math.imul(hash, 31) + byte) | 0;
    }
    const slot = hash & (REMEMBERED_TEXTS - 1);
    const held = this.#texts[slot];
    if (held !== undefined && held.length === length && this.#equals(held, start)) return held;
    const text = buffer.toString("latin1", start, end);
    this.#texts[slot] = text;
    return text;
  }

  #equals(text: string, start: number): boolean {
    for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) !== this.buffer[start + i]) return false;
    return true;
  }

  skip(wireType: number, end: number): void {
    switch (wireType) {
      case WIRE_VARINT:
        while ((this.buffer[this.at++] ?? 0) >= 0x80) if (this.at >= end) break;
        break;
      case WIRE_64:
        this.at += 8;
        break;
      case WIRE_BYTES:
        this.at = this.end(end);
        break;
      case WIRE_32:
        this.at += 4;
        break;
      default:
        throw new RangeError(`wire type ${wireType} is not read here`);
    }
    if (this.at > end) throw new RangeError("the message ends within a field");
  }
}

type Target = Record<string, unknown>;
type FieldReader = (input: Input, end: number, target: Target, depth: number) => void;

interface Plan {
  /** A message without any field set; copied for each one that is read. */
  readonly empty: () => Target;
  /** By the tag of the wire: field number and wire type. */
  readonly readers: Map<number, FieldReader>;
}

/**
 * Decoder of one message type without reflection on every field. Equal to `fromBinary(schema, bytes)` but for unknown fields, which are
 * dropped: a server has no use for them.
 *
 * @throws TypeError for a schema with fields it does not know: maps, oneofs, bytes, floats and signed or fixed integers. The decoder
 *   throws RangeError or TypeError for bytes that are no such message
 */
export function directDecoder<D extends DescMessage>(schema: D): (bytes: Uint8Array) => MessageShape<D> {
  const plan = planOf(schema, new Map());
  const input = new Input();
  return (bytes) => {
    input.buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    input.at = 0;
    return readMessage(plan, input, bytes.length, 0) as MessageShape<D>;
  };
}

function readMessage(plan: Plan, input: Input, end: number, depth: number, into?: Target): Target {
  if (depth > MAX_DEPTH) throw new RangeError("messages are nested too deeply");
  const target = into ?? plan.empty();
  while (input.at < end) {
    const tag = input.varint(end);
    const reader = plan.readers.get(tag);
    if (reader !== undefined) reader(input, end, target, depth);
    else if (tag < 8) throw new RangeError("field 0 does not exist");
    else input.skip(tag % 8, end);
  }
  return target;
}

function planOf(schema: DescMessage, known: Map<DescMessage, Plan>): Plan {
  const held = known.get(schema);
  if (held !== undefined) return held;
  const lists = schema.fields.filter(({ fieldKind }) => fieldKind === "list").map(({ localName }) => localName);
  const first: Target = { ...create(schema) };
  const plan: Plan = {
    empty: () => {
      const target = { ...first };
      for (const name of lists) target[name] = [];
      return target;
    },
    readers: new Map(),
  };
  known.set(schema, plan);
  for (const field of schema.fields) {
    const [tag, reader] = readerOf(field, known);
    plan.readers.set(tag, reader);
  }
  return plan;
}

function readerOf(field: DescField, known: Map<DescMessage, Plan>): readonly [number, FieldReader] {
  if (field.oneof !== undefined && field.proto.proto3Optional !== true) throw unsupported(field);
  const { localName } = field;
  const tag = (wireType: number): number => field.number * 8 + wireType;
  switch (field.fieldKind) {
    case "message": {
      const plan = planOf(field.message, known);
      return [
        tag(WIRE_BYTES),
        (input, end, target, depth) => {
          // A message that comes twice is merged (protobuf encoding, "last one wins" rules).
          const held = target[localName] as Target | undefined;
          target[localName] = readMessage(plan, input, input.end(end), depth + 1, held);
        },
      ];
    }
    case "enum":
      return [tag(WIRE_VARINT), integerReader(localName)];
    case "scalar":
      return scalarReader(field, field.scalar);
    case "list": {
      if (field.listKind === "message") {
        const plan = planOf(field.message, known);
        return [
          tag(WIRE_BYTES),
          (input, end, target, depth) => {
            (target[localName] as Target[]).push(readMessage(plan, input, input.end(end), depth + 1));
          },
        ];
      }
      if (field.listKind !== "scalar" || field.scalar !== ScalarType.STRING) throw unsupported(field);
      return [
        tag(WIRE_BYTES),
        (input, end, target) => {
          (target[localName] as string[]).push(input.text(input.end(end)));
        },
      ];
    }
    case "map":
      throw unsupported(field);
  }
}

function scalarReader(field: DescField, scalar: ScalarType): readonly [number, FieldReader] {
  const { localName } = field;
  switch (scalar) {
    case ScalarType.STRING:
      return [
        field.number * 8 + WIRE_BYTES,
        (input, end, target) => {
          target[localName] = input.text(input.end(end));
        },
      ];
    case ScalarType.BOOL:
      return [
        field.number * 8 + WIRE_VARINT,
        (input, end, target) => {
          target[localName] = input.varint(end) !== 0;
        },
      ];
    case ScalarType.UINT32:
      return [field.number * 8 + WIRE_VARINT, integerReader(localName)];
    default:
      throw unsupported(field);
  }
}

/** Larger values than 32 bits are cut to their low bits, as everywhere in protobuf. */
function integerReader(localName: string): FieldReader {
  return (input, end, target) => {
    target[localName] = input.varint(end) % 2 ** 32;
  };
}

function unsupported(field: DescField): TypeError {
  return new TypeError(`${field.toString()}: not for a direct decoder`);
}

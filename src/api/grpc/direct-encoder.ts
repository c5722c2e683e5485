import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { FeatureSet_FieldPresence } from "@bufbuild/protobuf/wkt";

/** First size of an encoder's buffer, bytes; it grows by doubling and stays. */
const INITIAL_BYTES = 4 * 1024;
/** A varint of 64 bits has at most ten bytes. */
const MAX_VARINT_BYTES = 10;
/** UTF-8 of a UTF-16 code unit has at most three bytes. */
const MAX_BYTES_PER_UNIT = 3;
const WIRE_VARINT = 0;
const WIRE_BYTES = 2;

/** Buffer being written. */
class Output {
  buffer: Buffer = Buffer.allocUnsafeSlow(INITIAL_BYTES);
  at = 0;

  room(bytes: number): void {
    if (this.at + bytes <= this.buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(this.buffer.length * 2, this.at + bytes));
    this.buffer.copy(larger, 0, 0, this.at);
    this.buffer = larger;
  }

  /** A non-negative integer below 2^53. */
  varint(value: number): void {
    this.room(MAX_VARINT_BYTES);
    let rest = value;
    while (rest > 0x7f) {
      this.buffer[this.at++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.buffer[this.at++] = rest;
  }

  text(value: string): void {
    this.room(value.length * MAX_BYTES_PER_UNIT + MAX_VARINT_BYTES);
    // Short texts have a length of one byte, whatever their characters: written once, in place.
    if (value.length * MAX_BYTES_PER_UNIT < 0x80) {
      const start = this.at + 1;
      const { length } = value;
      let written = 0;
      // Most are plain ASCII, and put there faster than a call into the runtime takes.
      for (; written < length; written++) {
        const code = value.charCodeAt(written);
        if (code > 0x7f) break;
        this.buffer[start + written] = code;
      }
      if (written < length) written = this.buffer.write(value, start, "utf8");
      this.buffer[this.at] = written;
      this.at = start + written;
      return;
    }
    this.varint(Buffer.byteLength(value));
    this.at += this.buffer.write(value, this.at, "utf8");
  }

  /** Leaves room for the length of what follows. Returns where that starts. */
  begin(): number {
    this.room(2);
    this.at += 2;
    return this.at;
  }

  /** Puts the length before what was written since `start`. Most are of two bytes; any other moves what was written. */
  end(start: number): void {
    const length = this.at - start;
    const head = length < 0x80 ? 1 : length < 0x4000 ? 2 : 0;
    if (head === 2) {
      this.buffer[start - 2] = (length & 0x7f) | 0x80;
      this.buffer[start - 1] = length >>> 7;
      return;
    }
    const body = head === 1 ? this.buffer.subarray(start, this.at) : Buffer.from(this.buffer.subarray(start, this.at));
    this.at = start - 2;
    this.varint(length);
    this.room(length);
    this.buffer.set(body, this.at);
    this.at += length;
  }
}

type FieldWriter = (output: Output, value: unknown) => void;

interface Plan {
  readonly names: readonly string[];
  readonly writers: readonly FieldWriter[];
}

/**
 * Encoder of one message type that takes the initialiser as it is: no message is created and no field is reflected upon. The result
 * equals `toBinary(schema, create(schema, init))` and is a view into the encoder's own buffer: **valid until the next call**, which is
 * enough for grpc-js, since it copies a reply into its frame before anything else runs. Bytes that are given instead are passed through.
 *
 * @throws TypeError for a schema with fields it does not know: maps, oneofs, bytes, floats and signed or fixed integers
 */
export function directEncoder(schema: DescMessage): (init: unknown) => Buffer {
  const plan = planOf(schema, new Map());
  const output = new Output();
  return (init) => {
    if (init instanceof Uint8Array) return Buffer.from(init.buffer, init.byteOffset, init.byteLength);
    output.at = 0;
    writeMessage(plan, output, init);
    return output.buffer.subarray(0, output.at);
  };
}

function writeMessage({ names, writers }: Plan, output: Output, init: unknown): void {
  const fields = init as Readonly<Record<string, unknown>>;
  for (let i = 0; i < names.length; i++) {
    const value = fields[names[i] ?? ""];
    if (value !== undefined) writers[i]?.(output, value);
  }
}

function planOf(schema: DescMessage, known: Map<DescMessage, Plan>): Plan {
  const held = known.get(schema);
  if (held !== undefined) return held;
  const names: string[] = [];
  const writers: FieldWriter[] = [];
  const plan: Plan = { names, writers };
  known.set(schema, plan);
  for (const field of [...schema.fields].sort((a, b) => a.number - b.number)) {
    names.push(field.localName);
    writers.push(writerOf(field, known));
  }
  return plan;
}

function writerOf(field: DescField, known: Map<DescMessage, Plan>): FieldWriter {
  if (field.oneof !== undefined && field.proto.proto3Optional !== true) throw unsupported(field);
  const tag = (wireType: number): number => field.number * 8 + wireType;
  switch (field.fieldKind) {
    case "message": {
      const plan = planOf(field.message, known);
      const head = tag(WIRE_BYTES);
      return (output, value) => {
        output.varint(head);
        const start = output.begin();
        writeMessage(plan, output, value);
        output.end(start);
      };
    }
    case "enum":
      return integerWriter(tag(WIRE_VARINT), isExplicit(field));
    case "scalar":
      return scalarWriter(field, field.scalar, isExplicit(field));
    case "list": {
      if (field.listKind === "message") {
        const plan = planOf(field.message, known);
        const head = tag(WIRE_BYTES);
        return (output, value) => {
          for (const entry of value as readonly unknown[]) {
            output.varint(head);
            const start = output.begin();
            writeMessage(plan, output, entry);
            output.end(start);
          }
        };
      }
      if (field.listKind !== "scalar" || field.scalar !== ScalarType.STRING) throw unsupported(field);
      const head = tag(WIRE_BYTES);
      return (output, value) => {
        for (const entry of value as readonly string[]) {
          output.varint(head);
          output.text(entry);
        }
      };
    }
    case "map":
      throw unsupported(field);
  }
}

/** True for a field that is written whenever it is set, zero or not. */
function isExplicit(field: DescField): boolean {
  return field.presence === FeatureSet_FieldPresence.EXPLICIT;
}

/** @param explicit the field is written whenever it is set, zero or not */
function scalarWriter(field: DescField, scalar: ScalarType, explicit: boolean): FieldWriter {
  switch (scalar) {
    case ScalarType.STRING: {
      const head = field.number * 8 + WIRE_BYTES;
      return (output, value) => {
        if (value === "" && !explicit) return;
        output.varint(head);
        output.text(value as string);
      };
    }
    case ScalarType.BOOL: {
      const head = field.number * 8 + WIRE_VARINT;
      return (output, value) => {
        if (value === false && !explicit) return;
        output.varint(head);
        output.varint(value === true ? 1 : 0);
      };
    }
    case ScalarType.UINT32:
    case ScalarType.UINT64:
      return integerWriter(field.number * 8 + WIRE_VARINT, explicit);
    default:
      throw unsupported(field);
  }
}

function integerWriter(head: number, explicit: boolean): FieldWriter {
  return (output, value) => {
    const number = Number(value);
    if (number === 0 && !explicit) return;
    if (!Number.isSafeInteger(number) || number < 0) throw new RangeError(`${String(value)} is no varint below 2^53`);
    output.varint(head);
    output.varint(number);
  };
}

function unsupported(field: DescField): TypeError {
  return new TypeError(`${field.toString()}: not for a direct encoder; answer with a message`);
}

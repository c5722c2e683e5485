import type { Clock } from "./clock.ts";
import type { Random } from "./random.ts";

function uuidFrom(bytes: Uint8Array, version: number): string {
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | (version << 4);
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = Buffer.from(bytes).toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** UUID version 4 (RFC 9562 §5.4). */
export function uuidV4(random: Random): string {
  return uuidFrom(Uint8Array.from(random.bytes(16)), 4);
}

/** UUID version 7 (RFC 9562 §5.7): sorts by time. */
export function uuidV7(clock: Clock, random: Random): string {
  const bytes = Uint8Array.from(random.bytes(16));
  const ms = clock.now();
  for (let i = 0; i < 6; i++) bytes[i] = Math.floor(ms / 2 ** (8 * (5 - i))) & 0xff;
  return uuidFrom(bytes, 7);
}

/** Crockford's base 32 as character codes. */
const CROCKFORD = Uint8Array.from("0123456789ABCDEFGHJKMNPQRSTVWXYZ", (digit) => digit.charCodeAt(0));

/** The digit of the low five bits. */
function digit(bits: number): number {
  return CROCKFORD[bits & 31] ?? 0;
}

/** ULID: 48 bits of milliseconds and 80 random bits in Crockford base 32, 26 characters. */
export function ulid(clock: Clock, random: Random): string {
  const time = Math.floor(clock.now());
  const low = time % 2 ** 30;
  const high = (time - low) / 2 ** 30;
  const first = random.next() * 2 ** 40;
  const second = random.next() * 2 ** 40;
  const a = first / 2 ** 20;
  const b = first % 2 ** 20;
  const c = second / 2 ** 20;
  const d = second % 2 ** 20;
  // One flat string from one call: an id is made for every decision, and strings put together piece by piece cost ten times the memory.
  return String.fromCharCode(
    digit(high >>> 15),
    digit(high >>> 10),
    digit(high >>> 5),
    digit(high),
    digit(low >>> 25),
    digit(low >>> 20),
    digit(low >>> 15),
    digit(low >>> 10),
    digit(low >>> 5),
    digit(low),
    digit(a >>> 15),
    digit(a >>> 10),
    digit(a >>> 5),
    digit(a),
    digit(b >>> 15),
    digit(b >>> 10),
    digit(b >>> 5),
    digit(b),
    digit(c >>> 15),
    digit(c >>> 10),
    digit(c >>> 5),
    digit(c),
    digit(d >>> 15),
    digit(d >>> 10),
    digit(d >>> 5),
    digit(d),
  );
}

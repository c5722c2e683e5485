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

const CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/** Two digits at a time: an id is made for every decision. */
const CROCKFORD_PAIRS: readonly string[] = Array.from(
  { length: 1_024 },
  (_, i) => `${CROCKFORD.charAt(i >>> 5)}${CROCKFORD.charAt(i & 31)}`,
);

/** ULID: 48 bits of milliseconds and 80 random bits in Crockford base 32, 26 characters. */
export function ulid(clock: Clock, random: Random): string {
  let time = Math.floor(clock.now());
  let head = "";
  for (let i = 0; i < 5; i++) {
    head = (CROCKFORD_PAIRS[time % 1_024] ?? "") + head;
    time = Math.floor(time / 1_024);
  }
  const bytes = random.bytes(16);
  let tail = "";
  for (let i = 0; i < 16; i += 2)
    tail += CROCKFORD_PAIRS[(((bytes[i] ?? 0) & 31) << 5) | ((bytes[i + 1] ?? 0) & 31)] ?? "";
  return head + tail;
}

import { randomBytes, randomFillSync } from "node:crypto";

/** Randomness as a parameter: the simulator replays a run by its seed. */
export interface Random {
  /** Uniform in [0, 1). */
  next(): number;
  /** `length` random bytes. */
  bytes(length: number): Uint8Array;
}

/** Random bytes drawn at once: asking the system costs as much for a few as for all of these. */
const POOL_BYTES = 4_096;
/** More than this is drawn by itself. */
const MAX_POOLED_BYTES = 64;

/** The machine's cryptographic generator, drawn from in bulk. Every byte is handed out once, as a copy. */
class SystemRandom implements Random {
  readonly #pool = new Uint8Array(POOL_BYTES);
  #used = POOL_BYTES;

  next(): number {
    const at = this.#take(6);
    let value = 0;
    for (let i = 0; i < 6; i++) value = value * 256 + (this.#pool[at + i] ?? 0);
    return value / 2 ** 48;
  }

  bytes(length: number): Uint8Array {
    if (length > MAX_POOLED_BYTES) return randomBytes(length);
    const at = this.#take(length);
    return this.#pool.slice(at, at + length);
  }

  #take(length: number): number {
    if (this.#used + length > POOL_BYTES) {
      randomFillSync(this.#pool);
      this.#used = 0;
    }
    const at = this.#used;
    this.#used += length;
    return at;
  }
}

/** The machine's cryptographic generator. */
export const systemRandom: Random = new SystemRandom();

/** Deterministic generator (sfc32) from a 32-bit seed. Never for keys, tokens or ids that leave a test. */
export class SeededRandom implements Random {
  #a: number;
  #b: number;
  #c: number;
  #d = 1;

  constructor(seed: number) {
    this.#a = seed | 0;
    this.#b = (seed ^ 0x9e3779b9) | 0;
    this.#c = (seed ^ 0x243f6a88) | 0;
    for (let i = 0; i < 12; i++) this.#step();
  }

  #step(): number {
    const t = (((this.#a + this.#b) | 0) + this.#d) | 0;
    this.#d = (this.#d + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (this.#c << 21) | (this.#c >>> 11);
    this.#c = (this.#c + t) | 0;
    return t >>> 0;
  }

  next(): number {
    return this.#step() / 2 ** 32;
  }

  bytes(length: number): Uint8Array {
    const out = new Uint8Array(length);
    for (let i = 0; i < length; i++) out[i] = this.#step() & 0xff;
    return out;
  }
}

/** Uniform integer in [min, max]. */
export function integerBetween(random: Random, min: number, max: number): number {
  return min + Math.floor(random.next() * (max - min + 1));
}

/** `value` moved by up to ±`fraction`: every periodic timer has at least 10 % jitter (lessons §12.4). */
export function jittered(random: Random, value: number, fraction = 0.1): number {
  return value * (1 - fraction + 2 * fraction * random.next());
}

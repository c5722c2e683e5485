import { randomBytes } from "node:crypto";

/** Randomness as a parameter: the simulator replays a run by its seed. */
export interface Random {
  /** Uniform in [0, 1). */
  next(): number;
  /** `length` random bytes. */
  bytes(length: number): Uint8Array;
}

/** The machine's cryptographic generator. */
export const systemRandom: Random = {
  next: () => {
    const b = randomBytes(6);
    return b.readUIntBE(0, 6) / 2 ** 48;
  },
  bytes: (length) => randomBytes(length),
};

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

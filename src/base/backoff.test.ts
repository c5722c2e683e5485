import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type BackoffPolicy, backoffCeiling, fullJitter } from "./backoff.ts";
import { SeededRandom, integerBetween, jittered, systemRandom } from "./random.ts";

const POLICY: BackoffPolicy = { baseMs: 500, factor: 2, capMs: 30_000 };

describe("full jitter", () => {
  it("doubles its ceiling up to the cap and never overflows", () => {
    expect([0, 1, 2, 5, 6, 1000].map((attempt) => backoffCeiling(POLICY, attempt))).toEqual([
      500, 1000, 2000, 16_000, 30_000, 30_000,
    ]);
  });

  it("spreads over the whole range below the ceiling", () => {
    fc.assert(
      fc.property(fc.integer(), fc.nat(100), (seed, attempt) => {
        const delay = fullJitter(POLICY, attempt, new SeededRandom(seed));
        expect(delay).toBeGreaterThanOrEqual(0);
        expect(delay).toBeLessThan(backoffCeiling(POLICY, attempt));
      }),
    );
    const random = new SeededRandom(3);
    const delays = Array.from({ length: 1000 }, () => fullJitter(POLICY, 0, random));
    expect(Math.min(...delays)).toBeLessThan(25);
    expect(Math.max(...delays)).toBeGreaterThan(475);
  });
});

describe("random", () => {
  it("replays by its seed and differs between seeds", () => {
    const run = (seed: number): readonly number[] => {
      const random = new SeededRandom(seed);
      return Array.from({ length: 20 }, () => random.next());
    };
    expect(run(42)).toEqual(run(42));
    expect(run(42)).not.toEqual(run(43));
  });

  it("stays within the bounds asked for", () => {
    for (const random of [new SeededRandom(1), systemRandom])
      for (let i = 0; i < 200; i++) {
        expect([2, 3, 4]).toContain(integerBetween(random, 2, 4));
        expect(Math.abs(jittered(random, 100) - 100)).toBeLessThanOrEqual(10);
        expect(random.bytes(7)).toHaveLength(7);
      }
  });
});

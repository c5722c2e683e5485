import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SeededRandom } from "../../../base/random.ts";
import { HEALTHY_STREAM_MS, MAX_RETRY_AFTER_MS, RECONNECT } from "../limits.ts";
import { Reconnect } from "./reconnect.ts";

describe("Reconnect", () => {
  it("is uniform below a doubling ceiling that stops at the cap", () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 0, max: 12 }), (seed, attempts) => {
        const reconnect = new Reconnect(new SeededRandom(seed));
        let delayMs = 0;
        for (let attempt = 0; attempt <= attempts; attempt++) delayMs = reconnect.delayMs(0, 0);
        const ceiling = Math.min(RECONNECT.capMs, RECONNECT.baseMs * 2 ** attempts);
        expect(delayMs).toBeGreaterThanOrEqual(0);
        expect(delayMs).toBeLessThanOrEqual(ceiling);
      }),
    );
    const delays = Array.from({ length: 400 }, (_, seed) => new Reconnect(new SeededRandom(seed)).delayMs(0, 0));
    const mean = delays.reduce((sum, delay) => sum + delay, 0) / delays.length;
    expect(mean).toBeGreaterThan(RECONNECT.baseMs * 0.42);
    expect(mean).toBeLessThan(RECONNECT.baseMs * 0.58);
  });

  it("starts anew after a minute of health, not before", () => {
    const reconnect = new Reconnect(new SeededRandom(1));
    for (let attempt = 0; attempt < 9; attempt++) reconnect.delayMs(HEALTHY_STREAM_MS - 1, 0);
    expect(reconnect.attempt).toBe(9);
    expect(reconnect.delayMs(HEALTHY_STREAM_MS, 0)).toBeLessThanOrEqual(RECONNECT.baseMs);
    expect(reconnect.attempt).toBe(1);
  });

  it("does not count being sent away as a failure", () => {
    const reconnect = new Reconnect(new SeededRandom(1));
    for (let times = 0; times < 9; times++) reconnect.delayMs(5_000, 1);
    expect(reconnect.attempt).toBe(0);
    expect(reconnect.delayMs(5_000, 0)).toBeLessThanOrEqual(RECONNECT.baseMs);
  });

  it("obeys a retry-after with up to 10 % more, and not for ever", () => {
    const delays = Array.from({ length: 50 }, (_, seed) => new Reconnect(new SeededRandom(seed)).delayMs(0, 60_000));
    expect(Math.min(...delays)).toBeGreaterThanOrEqual(60_000);
    expect(Math.max(...delays)).toBeLessThanOrEqual(66_000);
    expect(new Set(delays).size).toBeGreaterThan(40);
    expect(new Reconnect(new SeededRandom(1)).delayMs(0, 1e12)).toBeLessThanOrEqual(MAX_RETRY_AFTER_MS * 1.1);
  });
});

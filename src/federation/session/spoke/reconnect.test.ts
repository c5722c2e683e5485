import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SeededRandom } from "../../../base/random.ts";
import { BROKEN_OFF_DOUBLINGS, HEALTH_PER_DOUBLING_MS, MAX_RETRY_AFTER_MS, RECONNECT, REDIAL } from "../limits.ts";
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

  it("starts anew after a minute of health, however much it had grown", () => {
    const reconnect = new Reconnect(new SeededRandom(1));
    for (let attempt = 0; attempt < 40; attempt++) reconnect.delayMs(0, 0);
    expect(reconnect.attempt).toBe(40);
    expect(reconnect.delayMs(60_000, 0)).toBeLessThanOrEqual(RECONNECT.baseMs);
    expect(reconnect.attempt).toBe(1);
  });

  it("takes back one doubling for each ten seconds of health, and none for less: a hub that falls over at once is backed off from", () => {
    expect(HEALTH_PER_DOUBLING_MS).toBe(10_000);
    const fallsOver = new Reconnect(new SeededRandom(1));
    for (let life = 0; life < 6; life++) fallsOver.delayMs(HEALTH_PER_DOUBLING_MS - 1, 0);
    expect(fallsOver.attempt).toBe(6);
    // Restarted every 25 s, for ever: never above a second.
    const restarted = new Reconnect(new SeededRandom(2));
    for (let life = 0; life < 50; life++) {
      expect(restarted.delayMs(25_000, 0)).toBeLessThanOrEqual(2 * RECONNECT.baseMs);
      expect(restarted.attempt).toBeLessThanOrEqual(2);
    }
  });

  it("keeps dialling every few seconds where nobody answers, and that is forgotten once somebody does", () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 0, max: 200 }), (seed, dials) => {
        const reconnect = new Reconnect(new SeededRandom(seed));
        let delayMs = 0;
        for (let dial = 0; dial <= dials; dial++) delayMs = reconnect.redialMs();
        expect(delayMs).toBeGreaterThanOrEqual(0);
        expect(delayMs).toBeLessThanOrEqual(Math.min(REDIAL.capMs, REDIAL.baseMs * 2 ** dials));
        expect(reconnect.attempt).toBe(dials + 1);
        expect(reconnect.delayMs(0, 0)).toBeLessThanOrEqual(RECONNECT.baseMs);
        expect(reconnect.redialMs()).toBeLessThanOrEqual(REDIAL.baseMs);
      }),
    );
  });

  it("starts higher after a dial that was answered and broken off, and keeps what it had grown to", () => {
    const first = Array.from({ length: 200 }, (_, seed) => new Reconnect(new SeededRandom(seed)).brokenOffMs());
    expect(Math.max(...first)).toBeLessThanOrEqual(RECONNECT.baseMs * 2 ** BROKEN_OFF_DOUBLINGS);
    expect(Math.max(...first)).toBeGreaterThan(RECONNECT.baseMs * 2 ** (BROKEN_OFF_DOUBLINGS - 1));
    const grown = new Reconnect(new SeededRandom(1));
    for (let attempt = 0; attempt < 9; attempt++) grown.brokenOffMs();
    expect(grown.attempt).toBe(BROKEN_OFF_DOUBLINGS + 9);
  });

  it("does not let silence shorten the backoff from a hub that answers and breaks off", () => {
    const reconnect = new Reconnect(new SeededRandom(1));
    for (let attempt = 0; attempt < 9; attempt++) {
      reconnect.delayMs(0, 0);
      reconnect.redialMs();
    }
    const delays = Array.from({ length: 50 }, () => reconnect.delayMs(0, 0));
    expect(Math.max(...delays)).toBeGreaterThan(RECONNECT.capMs / 2);
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

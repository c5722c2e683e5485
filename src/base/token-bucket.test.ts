import { describe, expect, it } from "vitest";
import { TokenBucket } from "./token-bucket.ts";

describe("TokenBucket", () => {
  it("gives the burst at once, then one per interval", () => {
    const bucket = new TokenBucket({ perSecond: 10, burst: 3 }, 0);
    expect([0, 0, 0, 0].map((now) => bucket.take(now))).toEqual([true, true, true, false]);
    expect(bucket.take(99)).toBe(false);
    expect(bucket.take(200)).toBe(true);
  });

  it("says how long the nth in the queue waits", () => {
    const bucket = new TokenBucket({ perSecond: 100, burst: 1 }, 0);
    bucket.take(0);
    expect(bucket.waitMs(0, 1)).toBe(10);
    expect(bucket.waitMs(0, 50)).toBe(500);
  });

  it("never holds more than the burst and ignores a clock that stands still", () => {
    const bucket = new TokenBucket({ perSecond: 10, burst: 2 }, 0);
    expect(bucket.take(60_000)).toBe(true);
    expect(bucket.take(60_000)).toBe(true);
    expect(bucket.take(60_000)).toBe(false);
    expect(bucket.take(59_000)).toBe(false);
  });
});

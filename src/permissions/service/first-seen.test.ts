import { describe, expect, it } from "vitest";
import { FirstSeen } from "./first-seen.ts";

describe("FirstSeen", () => {
  it("tells the first of each combination, and keeps parts apart that would join to the same text", () => {
    const seen = new FirstSeen(100);
    expect(seen.add("ann", "get", "", "pods")).toBe(true);
    expect(seen.add("ann", "get", "", "pods")).toBe(false);
    expect(seen.add("ann", "get", "pods", "")).toBe(true);
    expect(seen.add("ann", "getpods", "", "")).toBe(true);
    expect(seen.add("bob", "get", "", "pods")).toBe(true);
    seen.clear();
    expect(seen.add("ann", "get", "", "pods")).toBe(true);
  });

  it("remembers no more than it may: nothing is new beyond", () => {
    const seen = new FirstSeen(2);
    expect([1, 2, 3].map((i) => seen.add(`user${i}`, "get", "", "pods"))).toEqual([true, true, false]);
    expect(seen.add("user1", "get", "", "pods")).toBe(false);
  });
});

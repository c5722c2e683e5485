import { describe, expect, it } from "vitest";
import { Rivals } from "./rivals.ts";

function seen(...instances: readonly string[]): number | undefined {
  const rivals = new Rivals();
  instances.forEach((instance, at) => rivals.opened(instance, 1_000 + at));
  return rivals.seenMs;
}

describe("Rivals", () => {
  it("takes restarts and reconnects for what they are", () => {
    expect(seen("a", "a", "b", "b", "c")).toBeUndefined();
    expect(seen("a", "", "a")).toBeUndefined();
  });

  it("notices a process that comes back after another took over", () => {
    expect(seen("a", "b", "a")).toBe(1_002);
    expect(seen("a", "b", "c", "b", "d")).toBe(1_003);
  });

  it("remembers a bounded number of processes", () => {
    const others = Array.from({ length: 20 }, (_, at) => `other-${at}`);
    expect(seen("a", ...others, "a")).toBeUndefined();
  });
});

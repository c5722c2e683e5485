import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SparseMap } from "./sparse-map.ts";

describe("SparseMap", () => {
  it("answers as a Map does, whatever is done to it", () => {
    const command = fc.record({ key: fc.integer({ min: 0, max: 3 }), act: fc.constantFrom("set", "delete", "clear") });
    fc.assert(
      fc.property(fc.array(command), (commands) => {
        const sparse = new SparseMap<number, number>();
        const map = new Map<number, number>();
        for (const [at, { key, act }] of commands.entries()) {
          const done = [sparse, map].map((each) => {
            if (act === "delete") return each.delete(key);
            if (act === "set") each.set(key, at);
            else each.clear();
            return undefined;
          });
          expect(done[0]).toBe(done[1]);
          expect([...sparse.entries]).toEqual([...map]);
          expect([...sparse.keys()]).toEqual([...map.keys()]);
          expect([...sparse.values()]).toEqual([...map.values()]);
          expect([sparse.size, sparse.has(key), sparse.get(key)]).toEqual([map.size, map.has(key), map.get(key)]);
        }
      }),
    );
  });

  it("goes on over what is deleted meanwhile, up to the last", () => {
    const sparse = new SparseMap<number, string>();
    for (const key of [1, 2, 3]) sparse.set(key, `${key}`);
    const seen: number[] = [];
    for (const key of sparse.keys()) {
      seen.push(key);
      sparse.delete(key);
    }
    expect([seen, sparse.size]).toEqual([[1, 2, 3], 0]);
  });
});

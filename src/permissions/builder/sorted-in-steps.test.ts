import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { atOnce } from "../../base/next-turn.ts";
import { sortedInSteps } from "./sorted-in-steps.ts";

interface Entry {
  readonly key: number;
  readonly at: number;
}

const byKey = (a: Entry, b: Entry): number => a.key - b.key;

describe("sortedInSteps", () => {
  it("orders as the language does, and keeps equal elements as they came", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 50 }), { maxLength: 3_000, size: "max" }), (keys) => {
        const list = keys.map((key, at) => ({ key, at }));
        expect(atOnce(sortedInSteps(list, byKey))).toEqual([...list].sort(byKey));
      }),
      { numRuns: 30 },
    );
  });

  it("compares little between two steps, however long the list", () => {
    let compared = 0;
    let most = 0;
    const list = Array.from({ length: 20_000 }, (_, at) => ({ key: (at * 7_919) % 20_011, at }));
    const counting = (a: Entry, b: Entry): number => {
      compared++;
      return byKey(a, b);
    };
    for (const _ of sortedInSteps(list, counting)) {
      most = Math.max(most, compared);
      compared = 0;
    }
    expect(most).toBeLessThan(10_000);
  });
});

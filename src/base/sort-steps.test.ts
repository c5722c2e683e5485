import { expect, it } from "vitest";
import { atOnce } from "./next-turn.ts";
import { SeededRandom, integerBetween } from "./random.ts";
import { sortSteps } from "./sort-steps.ts";

const random = new SeededRandom(1);

it.each([0, 1, 1_023, 1_024, 1_025, 5_000, 40_000])(
  "sorts %i entries as a plain sort does, equal keys in order",
  (n) => {
    const list = Array.from({ length: n }, (_, order) => ({ key: `k${integerBetween(random, 0, n >>> 1)}`, order }));
    const plain = [...list].sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : a.order - b.order));
    expect(atOnce(sortSteps(list))).toEqual(plain);
  },
);

it("yields at least once for every thousand entries it touches", () => {
  const list = Array.from({ length: 32_768 }, () => ({ key: String(random.next()) }));
  // 32 runs, then five rounds of merging all of them.
  let steps = 0;
  const sorting = sortSteps(list);
  while (sorting.next().done !== true) steps++;
  expect(steps).toBeGreaterThanOrEqual(32 * 6);
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { itemKey } from "./index-document.ts";
import { compareItems } from "./index-order.ts";
import { forEachPair, inItemOrder, positionOf } from "./item-pairs.ts";

const item = fc.record({ kind: fc.constantFrom("A", "AB", "B"), name: fc.stringMatching(/^[a-c]{1,3}$/) });
const list = fc.uniqueArray(item, { maxLength: 20, selector: itemKey }).map((items) => items.sort(compareItems));

describe("forEachPair", () => {
  it("visits every item of either list once, in order, with what both say of it", () => {
    fc.assert(
      fc.property(list, list, fc.boolean(), (left, right, shared) => {
        // Some items are one object in both lists, as those of an index are that a diff left alone.
        const both = right.map((other) => left.find((one) => shared && itemKey(one) === itemKey(other)) ?? other);
        const seen: string[] = [];
        forEachPair(left, both, (one, other) => {
          const key = itemKey(one ?? other ?? { kind: "", name: "" });
          seen.push(key);
          expect(one).toBe(left.find((each) => itemKey(each) === key));
          expect(other).toBe(both.find((each) => itemKey(each) === key));
        });
        const all = new Map([...left, ...both].map((each) => [itemKey(each), each]));
        expect(seen).toEqual([...all.values()].sort(compareItems).map(itemKey));
      }),
    );
  });
});

describe("positionOf", () => {
  it("finds what is there, and where it would stand what is not", () => {
    fc.assert(
      fc.property(list, item, (items, wanted) => {
        const there = items.some((each) => itemKey(each) === itemKey(wanted));
        const before = items.filter((each) => compareItems(each, wanted) < 0).length;
        expect(positionOf(items, wanted)).toBe(there ? before : -before - 1);
      }),
    );
  });
});

describe("inItemOrder", () => {
  it("sorts, and gives back the same list when there is nothing to sort", () => {
    fc.assert(
      fc.property(list, (items) => {
        expect(inItemOrder(items)).toBe(items);
        expect(inItemOrder(items.toReversed())).toEqual(items);
      }),
    );
  });
});

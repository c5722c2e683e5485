import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  decodeFields,
  difference,
  EMPTY,
  encodeFields,
  type FieldSet,
  intersection,
  isEmpty,
  pathsOf,
  recursiveDifference,
  sameSet,
  setOf,
  union,
} from "./field-set.ts";

const element = fc.constantFrom("f:a", "f:b", 'k:{"name":"x"}', "v:1");
const anySet: fc.Arbitrary<FieldSet> = fc.letrec<{ set: FieldSet }>((tie) => ({
  set: fc.oneof(
    { maxDepth: 3 },
    fc.constant(EMPTY),
    fc
      .tuple(fc.boolean(), fc.array(fc.tuple(element, tie("set")), { maxLength: 4 }))
      .map(([member, children]) => setOf(children, member)),
  ),
})).set;
/** Sets of an object: its root is never a member. */
const rootSet = anySet.map((set) => setOf(set.children));

const members = (set: FieldSet): ReadonlySet<string> => new Set(pathsOf(set));

describe("field sets", () => {
  it("are sets of paths under union, difference and intersection", () => {
    fc.assert(
      fc.property(rootSet, rootSet, (a, b) => {
        const [left, right] = [members(a), members(b)];
        expect(members(union(a, b))).toEqual(new Set([...left, ...right]));
        expect(members(difference(a, b))).toEqual(new Set([...left].filter((path) => !right.has(path))));
        expect(members(intersection(a, b))).toEqual(new Set([...left].filter((path) => right.has(path))));
      }),
    );
  });

  it("survive FieldsV1", () => {
    fc.assert(
      fc.property(rootSet, (set) => {
        expect(sameSet(decodeFields(encodeFields(set)), set)).toBe(true);
      }),
    );
  });

  it("drop whole subtrees in a recursive difference", () => {
    const set = decodeFields({ "f:status": { "f:phase": {}, "f:x": { "f:y": {} } }, "f:spec": { "f:a": {} } });
    const rest = recursiveDifference(set, decodeFields({ "f:status": {} }));
    expect(encodeFields(rest)).toEqual({ "f:spec": { "f:a": {} } });
    expect(isEmpty(recursiveDifference(rest, decodeFields({ "f:spec": {} })))).toBe(true);
  });

  it("write paths as conflict messages do", () => {
    const set = decodeFields({
      "f:spec": {
        "f:ports": { 'k:{"port":80,"protocol":"TCP"}': { ".": {}, "f:name": {} } },
        "f:tags": { 'v:"a"': {} },
      },
    });
    expect([...pathsOf(set)]).toEqual([
      '.spec.ports[port=80,protocol="TCP"]',
      '.spec.ports[port=80,protocol="TCP"].name',
      '.spec.tags[="a"]',
    ]);
  });
});

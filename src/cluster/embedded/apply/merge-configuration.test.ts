import { describe, expect, it } from "vitest";
import { SchemaNode } from "../schema/schema-node.ts";
import { changedFields, compareFields, isSame } from "./compare-fields.ts";
import { encodeFields } from "./field-set.ts";
import { mergeConfiguration } from "./merge-configuration.ts";
import { removeFields } from "./remove-fields.ts";
import { decodeFields } from "./field-set.ts";

const schema = new SchemaNode({
  type: "object",
  properties: {
    list: {
      type: "array",
      "x-kubernetes-list-type": "map",
      "x-kubernetes-list-map-keys": ["name"],
      items: { type: "object", properties: { name: { type: "string" }, value: { type: "integer" } } },
    },
    set: { type: "array", "x-kubernetes-list-type": "set", items: { type: "string" } },
    atomic: { type: "array", items: { type: "string" } },
  },
});

const list = (...names: string[]) => ({ list: names.map((name) => ({ name })) });

describe("mergeConfiguration", () => {
  it("keeps the configuration's order and leaves live-only items where they were", () => {
    expect(mergeConfiguration(list("a", "x", "b"), list("b", "a"), schema)).toEqual(list("x", "b", "a"));
    expect(mergeConfiguration(list("x", "a", "y", "b", "z"), list("a", "b"), schema)).toEqual(
      list("x", "a", "y", "b", "z"),
    );
    expect(mergeConfiguration(list("a"), list("n", "a"), schema)).toEqual(list("n", "a"));
    expect(mergeConfiguration({ set: ["a", "b"] }, { set: ["c", "a"] }, schema)).toEqual({ set: ["c", "a", "b"] });
    expect(mergeConfiguration({ atomic: ["a"] }, { atomic: ["b"] }, schema)).toEqual({ atomic: ["b"] });
  });

  it("merges without a schema: maps by member, lists as a whole", () => {
    expect(mergeConfiguration({ a: { x: 1, y: [1] } }, { a: { y: [2], z: 3 } }, undefined)).toEqual({
      a: { x: 1, y: [2], z: 3 },
    });
  });
});

describe("compareFields", () => {
  it("finds what was added, modified and removed by structure", () => {
    const before = { list: [{ name: "a", value: 1 }, { name: "b" }], set: ["x"], atomic: ["1"] };
    const after = { list: [{ name: "a", value: 2 }, { name: "c" }], set: ["y"], atomic: ["1", "2"] };
    const comparison = compareFields(before, after, schema);
    expect(encodeFields(changedFields(comparison))).toEqual({
      "f:atomic": {},
      "f:list": { 'k:{"name":"a"}': { "f:value": {} }, 'k:{"name":"c"}': { ".": {}, "f:name": {} } },
      "f:set": { 'v:"y"': {} },
    });
    expect(encodeFields(comparison.removed)).toEqual({
      "f:list": { 'k:{"name":"b"}': { ".": {}, "f:name": {} } },
      "f:set": { 'v:"x"': {} },
    });
    expect(isSame(compareFields(before, structuredClone(before), schema))).toBe(true);
  });
});

describe("removeFields", () => {
  it("takes paths away and leaves null of what becomes empty by it", () => {
    const value = { list: [{ name: "a", value: 1 }], set: ["x", "y"], atomic: ["1"] };
    const fields = decodeFields({ "f:list": { 'k:{"name":"a"}': {} }, "f:set": { 'v:"x"': {} } });
    expect(removeFields(value, fields, schema)).toEqual({ list: null, set: ["y"], atomic: ["1"] });
  });
});

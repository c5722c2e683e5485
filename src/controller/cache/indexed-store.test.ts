import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ConfigMapObject } from "../../api/builtin.ts";
import { atOnce } from "../../base/next-turn.ts";
import { IndexedStore } from "./indexed-store.ts";

const NAMES = ["a", "b", "c", "d", "e"] as const;

function object(name: string, version: number, colour: string): ConfigMapObject {
  const metadata = { name, namespace: "space", uid: name, resourceVersion: `${version}` };
  return { apiVersion: "v1", kind: "ConfigMap", metadata, data: { colour } };
}

function store(): IndexedStore<ConfigMapObject> {
  return new IndexedStore({ colour: ({ data }) => [data?.["colour"] ?? ""] });
}

/** A list may hold an object twice: pages of different moments do. */
const listed = fc.array(
  fc
    .record({ name: fc.constantFrom(...NAMES), version: fc.nat(2), red: fc.boolean() })
    .map(({ name, version, red }) => object(name, version, red ? "red" : "blue")),
  { maxLength: 8 },
);

describe("IndexedStore.replace", () => {
  it("ends with what was listed, and its events lead there from what was held", () => {
    fc.assert(
      fc.property(listed, listed, (first, second) => {
        const held = store();
        atOnce(held.replace(first));
        const model = new Map(held.list().map((each) => [each.metadata.name, each]));
        for (const event of atOnce(held.replace(second))) {
          const { name } = event.object.metadata;
          const old = { ADDED: undefined, DELETED: event.object, MODIFIED: "old" in event ? event.old : undefined };
          expect(model.get(name)).toBe(old[event.type]);
          if (event.type === "DELETED") model.delete(name);
          else model.set(name, event.object);
        }
        expect(new Set(model.values())).toEqual(new Set(held.list()));
        const versions = new Map(second.map((each) => [each.metadata.name, each.metadata.resourceVersion]));
        expect(new Map(held.list().map(({ metadata }) => [metadata.name, metadata.resourceVersion]))).toEqual(versions);
        for (const colour of ["red", "blue"])
          expect(new Set(held.byIndex("colour", colour))).toEqual(
            new Set(held.list().filter(({ data }) => data?.["colour"] === colour)),
          );
      }),
    );
  });

  it("shows what was held until all is taken in", () => {
    const held = store();
    atOnce(held.replace([object("a", 1, "red"), object("b", 1, "red")]));
    const steps = held.replace([object("b", 2, "blue"), object("c", 1, "blue")]);
    for (let step = steps.next(); step.done !== true; step = steps.next()) {
      expect(held.list().map(({ metadata }) => metadata.name)).toEqual(["a", "b"]);
      expect(held.byIndex("colour", "blue")).toEqual([]);
    }
    expect(held.byIndex("colour", "red")).toEqual([]);
    expect(held.list().map(({ metadata }) => metadata.name)).toEqual(["b", "c"]);
  });
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { CustomResourceDefinitionObject } from "../../../api/builtin.ts";
import { ApiStatusError } from "../../api-status-error.ts";
import { customResources } from "../crd/custom-resources.ts";
import { cloneMap, jsonEqual, type JsonMap } from "../json/mutable-json.ts";
import type { ServedResource } from "../resources/served-resource.ts";
import { applyConfiguration, configurationFields, recordManagers } from "./apply-configuration.ts";
import { managerKey, type ManagerId, readManagers } from "./managers.ts";
import { sameSet } from "./field-set.ts";

const CRD: CustomResourceDefinitionObject = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: "widgets.example.com" },
  spec: {
    group: "example.com",
    scope: "Namespaced",
    names: { plural: "widgets", kind: "Widget" },
    versions: [
      {
        name: "v1",
        served: true,
        storage: true,
        schema: {
          openAPIV3Schema: {
            type: "object",
            properties: {
              spec: {
                type: "object",
                properties: {
                  a: { type: "integer" },
                  nested: { type: "object", properties: { x: { type: "integer" }, y: { type: "string" } } },
                  items: {
                    type: "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["name"],
                    items: {
                      type: "object",
                      properties: { name: { type: "string" }, value: { type: "integer" }, other: { type: "integer" } },
                    },
                  },
                  tags: { type: "array", "x-kubernetes-list-type": "set", items: { type: "string" } },
                  labels: { type: "object", additionalProperties: { type: "string" } },
                },
              },
            },
          },
        },
      },
    ],
  },
  status: {
    conditions: [{ type: "Established", status: "True" }],
    acceptedNames: { plural: "widgets", kind: "Widget" },
  },
};

function resource(): ServedResource {
  const [served] = customResources(CRD);
  if (!served) throw new Error("not served");
  return served;
}

const names = fc.uniqueArray(fc.constantFrom("p", "q", "r", "s"), { maxLength: 4 });
const item = (name: string) =>
  fc
    .record({ value: fc.integer({ min: 0, max: 2 }), other: fc.integer({ min: 0, max: 2 }) }, { requiredKeys: [] })
    .map((rest): JsonMap => Object.assign({ name }, rest));
const spec: fc.Arbitrary<JsonMap> = fc
  .record(
    {
      a: fc.integer({ min: 0, max: 2 }),
      nested: fc.record({ x: fc.integer({ min: 0, max: 2 }), y: fc.constantFrom("u", "v") }, { requiredKeys: ["x"] }),
      items: names.filter((list) => list.length > 0).chain((list) => fc.tuple(...list.map(item))),
      tags: names.filter((list) => list.length > 0),
      labels: fc.dictionary(fc.constantFrom("k", "l"), fc.constantFrom("1", "2"), { minKeys: 1 }),
    },
    { requiredKeys: [] },
  )
  .map((value) => cloneMap(value));

const served = resource();
const identity = (manager: string): ManagerId => ({
  manager,
  operation: "Apply",
  apiVersion: "example.com/v1",
  subresource: "",
});

function config(content: JsonMap): JsonMap {
  return {
    apiVersion: "example.com/v1",
    kind: "Widget",
    metadata: { name: "w", namespace: "default" },
    ...(Object.keys(content).length > 0 ? { spec: content } : {}),
  };
}

/** The stored object after an apply, as the write path would store it. */
function apply(live: JsonMap | undefined, manager: string, content: JsonMap, force = true): JsonMap {
  const application = { config: config(content), id: identity(manager), force, time: "2026-01-01T00:00:00Z" };
  if (!live) {
    const object = structuredClone(application.config);
    const fields = configurationFields(served, application);
    recordManagers(
      object,
      new Map([[managerKey(application.id), { ...application.id, time: application.time, fields }]]),
    );
    return object;
  }
  const applied = applyConfiguration(served, live, application);
  const object = structuredClone(applied.object);
  recordManagers(object, applied.managers);
  return object;
}

const contentOf = (object: JsonMap): unknown => object["spec"] ?? {};

describe("applyConfiguration", () => {
  it("leaves of one manager's history only the last configuration", () => {
    fc.assert(
      fc.property(fc.array(spec, { minLength: 1, maxLength: 5 }), (history) => {
        let live: JsonMap | undefined;
        for (const content of history) live = apply(live, "one", content);
        expect(contentOf(live ?? {})).toEqual(history.at(-1));
      }),
      { numRuns: 300 },
    );
  });

  it("changes nothing when the same is applied again", () => {
    fc.assert(
      fc.property(spec, spec, (first, second) => {
        const live = apply(apply(undefined, "one", first), "two", second);
        const again = apply(live, "two", second);
        expect(jsonEqual(again, live)).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  it("gives each field an owner, and back what one manager had when the other leaves", () => {
    fc.assert(
      fc.property(spec, spec, (first, second) => {
        const alone = apply(undefined, "one", first);
        const both = unlessConflict(() => apply(alone, "two", second, false));
        fc.pre(both !== undefined);
        const without = apply(both, "two", {});
        expect(sortLists(contentOf(without))).toEqual(sortLists(contentOf(alone)));
        const left = readManagers(cloneMap(Object(without["metadata"])));
        const before = readManagers(cloneMap(Object(alone["metadata"])));
        const key = managerKey(identity("one"));
        const [a, b] = [left.get(key), before.get(key)];
        expect(a && b ? sameSet(a.fields, b.fields) : a === b).toBe(true);
      }),
      { numRuns: 300 },
    );
  });
});

/** The result, or undefined when the managers disagree. */
function unlessConflict(run: () => JsonMap): JsonMap | undefined {
  try {
    return run();
  } catch (error) {
    if (error instanceof ApiStatusError && error.message.startsWith("Apply failed with")) return undefined;
    throw error;
  }
}

/** Order among items of associative lists may be the other manager's. */
function sortLists(value: unknown): unknown {
  if (Array.isArray(value))
    return value.map(sortLists).toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, child]) => [key, sortLists(child)]));
  }
  return value;
}

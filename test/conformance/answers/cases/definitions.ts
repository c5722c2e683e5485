import { CustomResourceDefinition } from "../../../../src/api/builtin.ts";
import type { JsonObject } from "../../../../src/base/json.ts";
import { type AnswerCases, casesOf } from "../probe.ts";

const text: JsonObject = { type: "string" };
const version = (more: object = {}): object => ({
  name: "v1",
  served: true,
  storage: true,
  schema: { openAPIV3Schema: { type: "object" } },
  ...more,
});
const schema = (spec: object): object => ({
  versions: [version({ schema: { openAPIV3Schema: { type: "object", properties: { spec } } } })],
});
const names = { plural: "things", kind: "Thing" };

/** Changes of the spec of a CRD that would be accepted without them. */
const WRONG: Readonly<Record<string, object>> = {
  "nothing wrong": {},
  "no versions": { versions: [] },
  "no storage version": { versions: [version({ storage: false })] },
  "two storage versions": { versions: [version(), version({ name: "v2" })] },
  "a version twice": { versions: [version(), version({ storage: false })] },
  "no version served": { versions: [version({ served: false })] },
  "a wrong version name": { versions: [version({ name: "V_1" })] },
  "no schema": { versions: [{ name: "v1", served: true, storage: true }] },
  "no group": { group: "" },
  "a group without a dot": { group: "things" },
  "a wrong group": { group: "Wrong_Group.example" },
  "another plural than the name": { names: { ...names, plural: "others" } },
  "no kind": { names: { plural: "things" } },
  "a kind in lower case": { names: { ...names, kind: "thing" } },
  "a kind with a space": { names: { ...names, kind: "Thi ng" } },
  "wrong short names": { names: { ...names, shortNames: ["T T"] } },
  "an unknown scope": { scope: "Planet" },
  "no scope": { scope: "" },
  preserveUnknownFields: { preserveUnknownFields: true },
  "conversion by webhook without one": { conversion: { strategy: "Webhook" } },
  "an unknown conversion": { conversion: { strategy: "Magic" } },
  "a root that is no object": { versions: [version({ schema: { openAPIV3Schema: { type: "string" } } })] },
  "no type": schema({}),
  "an unknown type": schema({ type: "thing" }),
  "an array without items": schema({ type: "array" }),
  "properties and additionalProperties": schema({
    type: "object",
    properties: { a: text },
    additionalProperties: text,
  }),
  "additionalProperties false": schema({ type: "object", additionalProperties: false }),
  "a default of the wrong type": schema({ type: "string", default: 1 }),
  "a default beyond the bounds": schema({ type: "integer", default: 5, maximum: 3 }),
  "a default with unknown members": schema({ type: "object", default: { a: 1 } }),
  "a wrong pattern": schema({ type: "string", pattern: "(" }),
  "a pattern with a lookahead": schema({ type: "string", pattern: "(?=a)" }),
  "a type inside oneOf": schema({ type: "object", oneOf: [{ type: "object" }] }),
  "a property only inside anyOf": schema({ type: "object", anyOf: [{ properties: { a: { minimum: 1 } } }] }),
  "an unknown list type": schema({ type: "array", items: text, "x-kubernetes-list-type": "bag" }),
  "a list map without keys": schema({ type: "array", items: { type: "object" }, "x-kubernetes-list-type": "map" }),
  "a list map with a missing key": schema({
    type: "array",
    items: { type: "object", properties: { a: text } },
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["b"],
  }),
  "a list map with an optional key": schema({
    type: "array",
    items: { type: "object", properties: { a: text } },
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["a"],
  }),
  "a set of objects": schema({ type: "array", items: { type: "object" }, "x-kubernetes-list-type": "set" }),
  "a list type of an object": schema({ type: "object", "x-kubernetes-list-type": "map" }),
  "a map type of a text": schema({ type: "string", "x-kubernetes-map-type": "atomic" }),
  "int-or-string with a type": schema({ type: "string", "x-kubernetes-int-or-string": true }),
  "an embedded resource that is no object": schema({ type: "string", "x-kubernetes-embedded-resource": true }),
  uniqueItems: schema({ type: "array", items: text, uniqueItems: true }),
  "a reference": schema({ $ref: "#/definitions/x" }),
  "an id": schema({ type: "string", id: "x" }),
  dependencies: schema({ type: "object", dependencies: { a: ["b"] } }),
  "metadata restricted": {
    versions: [
      version({
        schema: {
          openAPIV3Schema: {
            type: "object",
            properties: { metadata: { type: "object", properties: { labels: { type: "object" } } } },
          },
        },
      }),
    ],
  },
  "a rule that does not parse": schema({ type: "string", "x-kubernetes-validations": [{ rule: "self ==" }] }),
  "a rule that is no boolean": schema({ type: "string", "x-kubernetes-validations": [{ rule: "self" }] }),
  "a rule of an unknown member": schema({
    type: "object",
    properties: { a: text },
    "x-kubernetes-validations": [{ rule: "self.b == 'x'" }],
  }),
  "a rule that compares a text with a number": schema({
    type: "string",
    "x-kubernetes-validations": [{ rule: "self > 5" }],
  }),
  "an empty rule": schema({ type: "string", "x-kubernetes-validations": [{ rule: "" }] }),
  "a rule with an unknown reason": schema({
    type: "string",
    "x-kubernetes-validations": [{ rule: "self != ''", reason: "Because" }],
  }),
  "a rule with a wrong fieldPath": schema({
    type: "object",
    properties: { a: text },
    "x-kubernetes-validations": [{ rule: "true", fieldPath: ".b" }],
  }),
  "a message expression that is no text": schema({
    type: "string",
    "x-kubernetes-validations": [{ rule: "true", messageExpression: "5" }],
  }),
  "a message with a line break": schema({
    type: "string",
    "x-kubernetes-validations": [{ rule: "true", message: "a\nb" }],
  }),
  "optionalOldSelf without oldSelf": schema({
    type: "string",
    "x-kubernetes-validations": [{ rule: "true", optionalOldSelf: true }],
  }),
  "a rule that costs too much": schema({
    type: "array",
    items: { type: "string" },
    "x-kubernetes-validations": [{ rule: "self.all(x, self.all(y, self.all(z, x == y && y == z)))" }],
  }),
  "a transition rule in a list": schema({
    type: "array",
    items: { type: "string", "x-kubernetes-validations": [{ rule: "self == oldSelf" }] },
  }),
  "a printer column without a path": {
    versions: [version({ additionalPrinterColumns: [{ name: "A", type: "string" }] })],
  },
  "a printer column of an unknown type": {
    versions: [version({ additionalPrinterColumns: [{ name: "A", type: "thing", jsonPath: ".spec.a" }] })],
  },
  "a printer column with a wrong path": {
    versions: [version({ additionalPrinterColumns: [{ name: "A", type: "string", jsonPath: "spec[" }] })],
  },
  "a scale without paths": { versions: [version({ subresources: { scale: {} } })] },
  "a scale with a wrong path": {
    versions: [
      version({ subresources: { scale: { specReplicasPath: ".metadata.x", statusReplicasPath: ".status.x" } } }),
    ],
  },
  "a selectable field that does not exist": { versions: [version({ selectableFields: [{ jsonPath: ".spec.a" }] })] },
};

export const definitionCases: AnswerCases = {
  ...casesOf("CRD with", WRONG, async (probe, change) => {
    await probe.create(
      CustomResourceDefinition,
      {
        metadata: { name: "things.definitions.example" },
        spec: { group: "definitions.example", scope: "Namespaced", names, versions: [version()], ...change },
      },
      { dryRun: true },
    );
  }),
  "CRD that is changed": async (probe) => {
    const name = "gadgets.definitions.example";
    const made = await probe.create(CustomResourceDefinition, {
      metadata: { name },
      spec: {
        group: "definitions.example",
        scope: "Namespaced",
        names: { plural: "gadgets", kind: "Gadget" },
        versions: [version()],
      },
    });
    probe.answers.length = 0;
    if (made === undefined) throw new Error("the CRD of the case was not created");
    for (const spec of [
      { scope: "Cluster" },
      { group: "other.example" },
      { names: { plural: "gizmos", kind: "Gadget" } },
      { names: { plural: "gadgets", kind: "Gizmo" } },
    ])
      await probe.patch(CustomResourceDefinition, name, { type: "merge", body: { spec } }, { dryRun: true });
  },
};

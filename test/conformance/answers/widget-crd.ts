import type { CustomResourceDefinitionObject } from "../../../src/api/builtin.ts";
import type { ResourceType } from "../../../src/api/resource-type.ts";
import type { JsonObject } from "../../../src/base/json.ts";

export const Widget: ResourceType = {
  group: "answers.conformance.example",
  version: "v1",
  resource: "widgets",
  kind: "Widget",
  namespaced: true,
};

const text: JsonObject = { type: "string" };
const number: JsonObject = { type: "integer" };

/** Members of `spec`: one for every kind of rule that a schema can state. */
const SPEC: Record<string, JsonObject> = {
  text,
  integer: number,
  number: { type: "number" },
  flag: { type: "boolean" },
  object: { type: "object", properties: { a: number, b: text }, required: ["a"] },
  list: { type: "array", items: number },
  map: { type: "object", additionalProperties: number },
  minimum: { type: "integer", minimum: 3, maximum: 7 },
  exclusive: { type: "number", minimum: 0, exclusiveMinimum: true, maximum: 1, exclusiveMaximum: true },
  multiple: { type: "number", multipleOf: 0.5 },
  int32: { type: "integer", format: "int32" },
  int64: { type: "integer", format: "int64" },
  length: { type: "string", minLength: 2, maxLength: 4 },
  pattern: { type: "string", pattern: "^[a-z]+$" },
  choice: { type: "string", enum: ["one", "two"] },
  items: { type: "array", items: text, minItems: 1, maxItems: 3 },
  members: { type: "object", additionalProperties: text, minProperties: 1, maxProperties: 2 },
  nullable: { type: "string", nullable: true },
  quantity: { "x-kubernetes-int-or-string": true },
  open: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
  half: { type: "object", "x-kubernetes-preserve-unknown-fields": true, properties: { known: number } },
  template: { type: "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true },
  set: { type: "array", "x-kubernetes-list-type": "set", items: text },
  keyed: {
    type: "array",
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["name"],
    items: { type: "object", required: ["name"], properties: { name: text, value: number } },
  },
  atomic: { type: "object", "x-kubernetes-map-type": "atomic", additionalProperties: text },
  either: { type: "object", properties: { a: number, b: number }, oneOf: [{ required: ["a"] }, { required: ["b"] }] },
  some: { type: "integer", anyOf: [{ minimum: 10 }, { maximum: 0 }] },
  all: { type: "integer", allOf: [{ minimum: 1 }, { maximum: 5 }] },
  never: { type: "string", not: { pattern: "^bad" } },
  defaulted: { type: "object", default: {}, properties: { size: { type: "integer", default: 5 }, name: text } },
  defaultText: { type: "string", default: "given" },
  replicas: number,
  ruled: {
    type: "object",
    properties: { low: number, high: number, name: text },
    "x-kubernetes-validations": [
      { rule: "!has(self.low) || !has(self.high) || self.low <= self.high", message: "low must not be above high" },
      {
        rule: "!has(self.name) || self.name.startsWith('w-')",
        messageExpression: "'name must start with w-, not ' + self.name",
        reason: "FieldValueForbidden",
        fieldPath: ".name",
      },
    ],
  },
  fixed: { type: "string", "x-kubernetes-validations": [{ rule: "self == oldSelf", message: "cannot be changed" }] },
  growing: { type: "integer", "x-kubernetes-validations": [{ rule: "self >= oldSelf" }] },
  ...Object.fromEntries(
    ["date-time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uri", "uuid", "byte", "cidr", "mac"].map(
      (format) => [`format-${format}`, { type: "string", format }],
    ),
  ),
};

/** A custom resource that has every kind of field, a status and a scale. */
export const widgetCrd: Omit<CustomResourceDefinitionObject, "status"> = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: `${Widget.resource}.${Widget.group}` },
  spec: {
    group: Widget.group,
    scope: "Namespaced",
    names: { plural: Widget.resource, kind: Widget.kind },
    versions: [
      {
        name: "v1",
        served: true,
        storage: true,
        subresources: {
          status: {},
          scale: { specReplicasPath: ".spec.replicas", statusReplicasPath: ".status.replicas" },
        },
        selectableFields: [{ jsonPath: ".spec.choice" }],
        schema: {
          openAPIV3Schema: {
            type: "object",
            properties: {
              spec: { type: "object", properties: SPEC },
              status: { type: "object", properties: { replicas: number, phase: text } },
            },
          },
        },
      },
    ],
  },
};

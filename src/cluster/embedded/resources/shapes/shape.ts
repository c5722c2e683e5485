import { isJsonObject, type JsonObject, type JsonValue } from "../../../../base/json.ts";

/**
 * Shapes of built-in kinds, written as structural schemas so that one engine validates, defaults and merges both them and custom
 * resources. They name what Seam's users rely on (types, required fields, defaults, merge keys); members they do not name are kept.
 */
export function object(properties: Record<string, JsonValue>, extra: JsonObject = {}): JsonObject {
  return { type: "object", properties, "x-kubernetes-preserve-unknown-fields": true, ...extra };
}

/** List merged by keys. */
export function listMap(keys: readonly string[], items: JsonObject, extra: JsonObject = {}): JsonObject {
  return {
    type: "array",
    items,
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": [...keys],
    ...extra,
  };
}

/** List merged as a set. */
export function listSet(items: JsonObject): JsonObject {
  return { type: "array", items, "x-kubernetes-list-type": "set" };
}

/** List replaced as a whole. */
export function listAtomic(items: JsonObject): JsonObject {
  return { type: "array", items, "x-kubernetes-list-type": "atomic" };
}

/** Map replaced as a whole. */
export function atomic(shape: JsonObject): JsonObject {
  return { ...shape, "x-kubernetes-map-type": "atomic" };
}

/** Adds a default. */
export function or(shape: JsonObject, value: JsonValue): JsonObject {
  return { ...shape, default: value };
}

export const text: JsonObject = { type: "string" };
export const whole: JsonObject = { type: "integer" };
export const flag: JsonObject = { type: "boolean" };
export const open: JsonObject = { type: "object", "x-kubernetes-preserve-unknown-fields": true };
export const portOrName: JsonObject = { "x-kubernetes-int-or-string": true };
export const stringMap: JsonObject = { type: "object", additionalProperties: text };

/** `metav1.LabelSelector`. */
export const labelSelector: JsonObject = atomic(
  object({
    matchLabels: stringMap,
    matchExpressions: listAtomic(
      object({ key: text, operator: text, values: listAtomic(text) }, { required: ["key", "operator"] }),
    ),
  }),
);

/** Status conditions, merged by type. */
export const conditions: JsonObject = listMap(
  ["type"],
  object({ type: text, status: text, reason: text, message: text }, { required: ["type", "status"] }),
);

const METADATA_MEMBERS: Record<string, JsonObject> = {
  namespace: text,
  labels: stringMap,
  annotations: stringMap,
  finalizers: listSet(text),
  ownerReferences: listMap(["uid"], atomic(object({ uid: text }))),
};

/** `metav1.ObjectMeta` as apply merges it. */
export const objectMeta: JsonObject = object({ name: text, ...METADATA_MEMBERS });

/** `shape` of a whole object: its metadata merges as metadata does, whatever else the shape says about it. */
export function withMetadata(shape: JsonObject): JsonObject {
  const properties = isJsonObject(shape["properties"]) ? shape["properties"] : {};
  const given = isJsonObject(properties["metadata"]) ? properties["metadata"]["properties"] : undefined;
  const metadata: JsonObject = isJsonObject(given)
    ? { ...objectMeta, properties: { ...given, ...METADATA_MEMBERS } }
    : objectMeta;
  return { ...shape, properties: { ...properties, apiVersion: text, kind: text, metadata } };
}

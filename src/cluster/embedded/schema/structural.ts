import { isMap, type Json, type JsonMap, member, memberMap } from "../json/mutable-json.ts";
import { type FieldError, forbiddenField, invalidValue, required } from "../status-errors.ts";
import type { CheckExpression } from "./cel/expression-check.ts";
import { maxItemsOf } from "./cel/estimate-rounds.ts";
import { SchemaNode } from "./schema-node.ts";
import { checkRules } from "./structural-rules.ts";
import { checkValues } from "./structural-values.ts";

/** Deepest schema; the API server stops at a similar depth through its own decoder. */
const MAX_SCHEMA_DEPTH = 200;
/** Keywords that only value validations may carry inside allOf, anyOf, oneOf and not. */
const FORBIDDEN_IN_LOGIC = [
  "additionalProperties",
  "default",
  "nullable",
  "x-kubernetes-embedded-resource",
  "x-kubernetes-list-map-keys",
  "x-kubernetes-list-type",
  "x-kubernetes-map-type",
  "x-kubernetes-preserve-unknown-fields",
];
const MAX_ERRORS = 20;

/** Checks that an `openAPIV3Schema` is structural (apiextensions/v1 "specifying a structural schema"). */
export function checkStructural(schema: JsonMap, path: string, check: CheckExpression): FieldError[] {
  const errors: FieldError[] = [];
  if (schema["type"] !== "object") {
    errors.push(invalidValue(`${path}.type`, schema["type"] ?? "", "must be object at the root"));
  }
  checkNode(schema, path, errors, 0, check);
  return errors.slice(0, MAX_ERRORS);
}

function checkNode(
  schema: Json,
  path: string,
  errors: FieldError[],
  depth: number,
  check: CheckExpression,
  times = 1,
): void {
  if (!isMap(schema) || errors.length >= MAX_ERRORS) return;
  if (depth > MAX_SCHEMA_DEPTH) {
    errors.push(forbiddenField(path, `schemas may be nested at most ${MAX_SCHEMA_DEPTH} levels`));
    return;
  }
  const intOrString = schema["x-kubernetes-int-or-string"] === true;
  const preserve = schema["x-kubernetes-preserve-unknown-fields"] === true;
  const type = schema["type"];
  if ((type === undefined || type === "") && !intOrString && !preserve) {
    errors.push(required(`${path}.type`, "must not be empty for specified object fields"));
  }
  for (const keyword of [
    "$ref",
    "definitions",
    "dependencies",
    "deprecated",
    "discriminator",
    "id",
    "patternProperties",
    "readOnly",
    "writeOnly",
    "xml",
  ]) {
    if (member(schema, keyword) !== undefined)
      errors.push(forbiddenField(`${path}.${keyword}`, `${keyword} is not supported`));
  }
  if (schema["uniqueItems"] === true)
    errors.push(
      forbiddenField(
        `${path}.uniqueItems`,
        "uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
      ),
    );
  checkList(schema, path, errors);
  errors.push(...checkRules(schema, path, { root: depth === 0, times }, check));
  errors.push(...checkValues(schema, path));
  if (type === "array" && schema["items"] === undefined) errors.push(required(`${path}.items`, "must be specified"));
  if (Array.isArray(schema["items"]))
    errors.push(forbiddenField(`${path}.items`, "items must be a schema object and not an array"));
  else if (schema["items"] !== undefined) {
    checkNode(schema["items"], `${path}.items`, errors, depth + 1, check, times * maxItemsOf(new SchemaNode(schema)));
  }
  const properties = memberMap(schema, "properties");
  const additional = member(schema, "additionalProperties");
  if (properties && additional !== undefined && Object.keys(properties).length > 0) {
    errors.push(
      forbiddenField(`${path}.additionalProperties`, "additionalProperties and properties are mutual exclusive"),
    );
  }
  for (const [name, child] of Object.entries(properties ?? {})) {
    if (name === "metadata" && depth === 0) {
      errors.push(...checkMetadataSchema(child, `${path}.properties[metadata]`));
      continue;
    }
    checkNode(child, `${path}.properties[${name}]`, errors, depth + 1, check, times);
  }
  if (isMap(additional)) {
    const each = times * maxItemsOf(new SchemaNode(schema));
    checkNode(additional, `${path}.additionalProperties`, errors, depth + 1, check, each);
  }
  for (const word of ["allOf", "anyOf", "oneOf"]) {
    const parts = member(schema, word);
    if (Array.isArray(parts))
      parts.forEach((part, i) => checkLogic(part, `${path}.${word}[${i}]`, errors, intOrString, depth + 1));
  }
  if (schema["not"] !== undefined) checkLogic(schema["not"], `${path}.not`, errors, false, depth + 1);
}

/** Of the metadata of the root a schema may restrict nothing but the names. */
function checkMetadataSchema(schema: Json, path: string): FieldError[] {
  const properties = isMap(schema) ? (memberMap(schema, "properties") ?? {}) : {};
  const others = Object.keys(properties).filter((name) => name !== "name" && name !== "generateName");
  if (others.length === 0) return [];
  const why = "must not specify anything other than name and generateName, but metadata is implicitly specified";
  return [forbiddenField(path, why)];
}

function checkList(schema: JsonMap, path: string, errors: FieldError[]): void {
  const listType = member(schema, "x-kubernetes-list-type");
  const keys = member(schema, "x-kubernetes-list-map-keys");
  if (listType === undefined) return;
  if (schema["type"] !== "array") {
    errors.push(
      invalidValue(`${path}.type`, schema["type"] ?? "", "must be array if x-kubernetes-list-type is specified"),
    );
  }
  if (listType !== "atomic" && listType !== "set" && listType !== "map") {
    errors.push(invalidValue(`${path}.x-kubernetes-list-type`, listType, 'supported values: "atomic", "set", "map"'));
  }
  const item = memberMap(schema, "items");
  const atomic = item?.["x-kubernetes-map-type"] === "atomic" || item?.["x-kubernetes-list-type"] === "atomic";
  if (listType === "set" && !atomic && (item?.["type"] === "object" || item?.["type"] === "array")) {
    const what = item["type"] === "object" ? "map" : "list";
    errors.push(
      invalidValue(
        `${path}.items.x-kubernetes-${what}-type`,
        item[`x-kubernetes-${what}-type`] ?? null,
        "must be atomic as item of a list with x-kubernetes-list-type=set",
      ),
    );
  }
  if (listType !== "map") return;
  if (!Array.isArray(keys) || keys.length === 0) {
    errors.push(required(`${path}.x-kubernetes-list-map-keys`, "must not be empty if x-kubernetes-list-type is map"));
    return;
  }
  const items = memberMap(schema, "items") ?? {};
  const properties = memberMap(items, "properties") ?? {};
  const needed = member(items, "required");
  keys.forEach((key, i) => {
    const property = typeof key === "string" ? memberMap(properties, key) : undefined;
    if (!property) {
      errors.push(
        invalidValue(`${path}.x-kubernetes-list-map-keys[${i}]`, key, "entries must all be names of item properties"),
      );
    } else if (property["default"] === undefined && !(Array.isArray(needed) && needed.includes(key))) {
      errors.push(
        required(
          `${path}.items.properties[${typeof key === "string" ? key : ""}].default`,
          "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property",
        ),
      );
    }
  });
}

function checkLogic(schema: Json, path: string, errors: FieldError[], intOrString: boolean, depth: number): void {
  if (!isMap(schema) || errors.length >= MAX_ERRORS || depth > MAX_SCHEMA_DEPTH) return;
  for (const keyword of FORBIDDEN_IN_LOGIC) {
    if (schema[keyword] !== undefined && schema[keyword] !== false) {
      errors.push(forbiddenField(`${path}.${keyword}`, "must be undefined to be structural"));
    }
  }
  if (schema["type"] !== undefined && schema["type"] !== "" && !intOrString) {
    errors.push(forbiddenField(`${path}.type`, "must be empty to be structural"));
  }
  for (const [name, child] of Object.entries(memberMap(schema, "properties") ?? {})) {
    checkLogic(child, `${path}.properties[${name}]`, errors, false, depth + 1);
  }
  if (schema["items"] !== undefined) checkLogic(schema["items"], `${path}.items`, errors, false, depth + 1);
  for (const word of ["allOf", "anyOf", "oneOf"]) {
    const parts = member(schema, word);
    if (Array.isArray(parts))
      parts.forEach((part, i) => checkLogic(part, `${path}.${word}[${i}]`, errors, intOrString, depth + 1));
  }
}

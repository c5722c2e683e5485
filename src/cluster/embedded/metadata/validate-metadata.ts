import { isMap, type Json, type JsonMap, member, memberMap } from "../json/mutable-json.ts";
import {
  type FieldError,
  forbiddenField,
  invalidValue,
  required,
  shownValue,
  tooLong,
  typeInvalid,
} from "../status-errors.ts";
import { labelValueProblem, type NameRule, nameProblem, qualifiedNameProblem } from "./names.ts";

/** Sum of all annotation keys and values (apimachinery `TotalAnnotationSizeLimitB`). */
const MAX_ANNOTATIONS_BYTES = 256 * 1024;

function stringMap(metadata: JsonMap, field: "labels" | "annotations", errors: FieldError[]): [string, string][] {
  const value = member(metadata, field);
  if (value === undefined || value === null) return [];
  if (!isMap(value)) {
    errors.push(typeInvalid(`metadata.${field}`, value, "must be a map of strings"));
    return [];
  }
  const entries: [string, string][] = [];
  for (const [key, item] of Object.entries(value)) {
    if (typeof item === "string") entries.push([key, item]);
    else errors.push(typeInvalid(`metadata.${field}.${key}`, item, "must be a string"));
  }
  return entries;
}

function checkLabels(metadata: JsonMap, errors: FieldError[]): void {
  for (const [key, value] of stringMap(metadata, "labels", errors)) {
    const keyProblem = qualifiedNameProblem(key);
    if (keyProblem) errors.push(invalidValue("metadata.labels", key, keyProblem));
    const valueProblem = labelValueProblem(value);
    if (valueProblem) errors.push(invalidValue("metadata.labels", value, valueProblem));
  }
}

function checkAnnotations(metadata: JsonMap, errors: FieldError[]): void {
  let bytes = 0;
  for (const [key, value] of stringMap(metadata, "annotations", errors)) {
    const problem = qualifiedNameProblem(key.toLowerCase());
    if (problem) errors.push(invalidValue("metadata.annotations", key, problem));
    bytes += Buffer.byteLength(key) + Buffer.byteLength(value);
  }
  if (bytes > MAX_ANNOTATIONS_BYTES) errors.push(tooLong("metadata.annotations", MAX_ANNOTATIONS_BYTES));
}

function listOf(metadata: JsonMap, field: "ownerReferences" | "finalizers", errors: FieldError[]): readonly Json[] {
  const value = member(metadata, field);
  if (Array.isArray(value)) return value;
  if (value !== undefined) errors.push(typeInvalid(`metadata.${field}`, value, "must be a list"));
  return [];
}

function checkOwners(metadata: JsonMap, errors: FieldError[]): void {
  const owners = listOf(metadata, "ownerReferences", errors);
  let controllers = 0;
  owners.forEach((owner, i) => {
    const path = `metadata.ownerReferences[${i}]`;
    if (!isMap(owner)) {
      errors.push(typeInvalid(path, owner, "must be an object"));
      return;
    }
    for (const field of ["apiVersion", "kind", "name", "uid"]) {
      if (typeof owner[field] !== "string" || owner[field] === "") {
        errors.push(invalidValue(`metadata.ownerReferences.${field}`, owner[field] ?? "", "must not be empty"));
      }
    }
    if (owner["controller"] === true) controllers++;
  });
  if (controllers > 1) {
    errors.push(
      invalidValue("metadata.ownerReferences", owners.length, "Only one reference can have Controller set to true"),
    );
  }
}

function checkFinalizers(metadata: JsonMap, errors: FieldError[]): void {
  const finalizers = listOf(metadata, "finalizers", errors);
  for (const finalizer of finalizers) {
    const problem = typeof finalizer === "string" ? qualifiedNameProblem(finalizer) : "must be a string";
    if (problem) errors.push(invalidValue("metadata.finalizers", finalizer, problem));
  }
}

/** Checks the metadata of a new or changed object (apimachinery `ValidateObjectMeta`). */
export function validateMetadata(metadata: JsonMap, rule: NameRule, namespaced: boolean): FieldError[] {
  const errors: FieldError[] = [];
  const name = member(metadata, "name");
  if (typeof name !== "string" || name === "")
    errors.push(required("metadata.name", "name or generateName is required"));
  else {
    const problem = nameProblem(rule, name);
    if (problem) errors.push(invalidValue("metadata.name", name, problem));
  }
  const namespace = member(metadata, "namespace");
  if (namespaced) {
    if (typeof namespace !== "string" || namespace === "") errors.push(required("metadata.namespace"));
  } else if (namespace !== undefined) {
    errors.push(forbiddenField("metadata.namespace", "not allowed on this type"));
  }
  checkLabels(metadata, errors);
  checkAnnotations(metadata, errors);
  checkOwners(metadata, errors);
  checkFinalizers(metadata, errors);
  return errors;
}

/** Fields that never change after creation. */
const IMMUTABLE = ["name", "namespace", "uid", "creationTimestamp"];

/** Checks a metadata change (apimachinery `ValidateObjectMetaUpdate`). */
export function validateMetadataUpdate(metadata: JsonMap, old: JsonMap): FieldError[] {
  const errors: FieldError[] = [];
  for (const field of IMMUTABLE) {
    const value: Json = member(metadata, field) ?? null;
    if (value !== (member(old, field) ?? null)) {
      errors.push(invalidValue(`metadata.${field}`, value, "field is immutable"));
    }
  }
  if (member(old, "deletionTimestamp") !== undefined) {
    const before = new Set(finalizersOf(old));
    const added = finalizersOf(metadata).filter((finalizer) => !before.has(finalizer));
    if (added.length > 0) {
      errors.push(
        forbiddenField(
          "metadata.finalizers",
          `no new finalizers can be added if the object is being deleted, found new finalizers ${shownValue(added)}`,
        ),
      );
    }
  }
  return errors;
}

/** Finalizers of a metadata map. */
export function finalizersOf(metadata: JsonMap): string[] {
  const finalizers = member(metadata, "finalizers");
  return Array.isArray(finalizers) ? finalizers.filter((item): item is string => typeof item === "string") : [];
}

/** Metadata of an object; an object without it has an empty one. */
export function metadataOf(object: JsonMap): JsonMap {
  return memberMap(object, "metadata") ?? {};
}

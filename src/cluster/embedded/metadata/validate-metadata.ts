import { isMap, type Json, type JsonMap, member, memberMap, memberText } from "../json/mutable-json.ts";
import { type FieldError, forbiddenField, invalidValue, required, tooLong, typeInvalid } from "../status-errors.ts";
import type { ServedResource } from "../resources/served-resource.ts";
import { labelValueProblems, nameProblem, qualifiedNameProblems } from "./names.ts";

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
    for (const problem of qualifiedNameProblems(key, "label key"))
      errors.push(invalidValue("metadata.labels", key, problem));
    for (const problem of labelValueProblems(value)) errors.push(invalidValue("metadata.labels", value, problem));
  }
}

function checkAnnotations(metadata: JsonMap, errors: FieldError[]): void {
  let bytes = 0;
  for (const [key, value] of stringMap(metadata, "annotations", errors)) {
    for (const problem of qualifiedNameProblems(key.toLowerCase(), "annotation key"))
      errors.push(invalidValue("metadata.annotations", key, problem));
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
  const controllers: JsonMap[] = [];
  owners.forEach((owner, i) => {
    const path = `metadata.ownerReferences[${i}]`;
    if (!isMap(owner)) {
      errors.push(typeInvalid(path, owner, "must be an object"));
      return;
    }
    const { apiVersion } = owner;
    if (typeof apiVersion !== "string" || !/^[^/]+(?:\/[^/]+)?$/.test(apiVersion))
      errors.push(invalidValue("metadata.ownerReferences.apiVersion", apiVersion ?? "", "version must not be empty"));
    for (const field of ["kind", "name", "uid"]) {
      if (typeof owner[field] !== "string" || owner[field] === "") {
        errors.push(invalidValue(`metadata.ownerReferences.${field}`, owner[field] ?? "", "must not be empty"));
      }
    }
    if (owner["kind"] === "Event" && (apiVersion === "v1" || apiVersion === "events.k8s.io/v1")) {
      const group = apiVersion === "v1" ? "/v1" : apiVersion;
      errors.push(
        invalidValue("metadata.ownerReferences", owner, `${group}, Kind=Event is disallowed from being an owner`),
      );
    }
    if (owner["controller"] === true) controllers.push(owner);
  });
  const [first, second] = controllers;
  if (first !== undefined && second !== undefined) {
    const shown = (owner: JsonMap): string => `${memberText(owner, "kind")}/${memberText(owner, "name")}`;
    errors.push(
      invalidValue(
        "metadata.ownerReferences",
        [...owners],
        `Only one reference can have Controller set to true. Found "true" in references for ${shown(first)} and ${shown(second)}`,
      ),
    );
  }
}

/** Finalizers of Kubernetes itself, which have no domain. */
export const STANDARD_FINALIZERS: ReadonlySet<string> = new Set(["kubernetes", "orphan", "foregroundDeletion"]);

function checkFinalizers(metadata: JsonMap, builtIn: boolean, errors: FieldError[]): void {
  const finalizers = listOf(metadata, "finalizers", errors);
  finalizers.forEach((finalizer, i) => {
    const problems = typeof finalizer === "string" ? qualifiedNameProblems(finalizer) : ["must be a string"];
    for (const problem of problems) errors.push(invalidValue("metadata.finalizers", finalizer, problem));
    if (builtIn && typeof finalizer === "string" && !finalizer.includes("/") && !STANDARD_FINALIZERS.has(finalizer))
      errors.push(
        invalidValue(
          `metadata.finalizers[${i}]`,
          finalizer,
          "name is neither a standard finalizer name nor is it fully qualified",
        ),
      );
  });
}

/** Checks the metadata of a new or changed object (apimachinery `ValidateObjectMeta`). */
export function validateMetadata(
  metadata: JsonMap,
  { nameRule: rule, namespaced, custom }: Pick<ServedResource, "nameRule" | "namespaced" | "custom">,
): FieldError[] {
  const errors: FieldError[] = [];
  const name = member(metadata, "name");
  if (typeof name !== "string" || name === "")
    errors.push(required("metadata.name", "name or generateName is required"));
  else {
    const base = member(metadata, "generateName");
    const baseProblem =
      typeof base === "string" && base !== "" ? nameProblem(rule, base.replace(/-$/, "a")) : undefined;
    if (baseProblem) errors.push(invalidValue("metadata.generateName", base ?? "", baseProblem));
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
  checkFinalizers(metadata, !custom, errors);
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
          `no new finalizers can be added if the object is being deleted, found new finalizers []string{${added.map((each) => JSON.stringify(each)).join(", ")}}`,
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

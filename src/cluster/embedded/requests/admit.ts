import type { WriteOptions } from "../../cluster.ts";
import { apiVersionOf } from "../../../api/resource-type.ts";
import { isMap, type JsonMap, member, memberText, sortedJson } from "../json/mutable-json.ts";
import {
  finalizersOf,
  metadataOf,
  STANDARD_FINALIZERS,
  validateMetadata,
  validateMetadataUpdate,
} from "../metadata/validate-metadata.ts";
import { qualifiedNameProblem } from "../metadata/names.ts";
import { builtinErrors, dropNulls } from "../resources/builtin-decoding.ts";
import type { ServedResource } from "../resources/served-resource.ts";
import { validateRules } from "../schema/cel/validate-rules.ts";
import { applyDefaults } from "../schema/defaulting.ts";
import { prune } from "../schema/prune.ts";
import { ratchet } from "../schema/ratchet.ts";
import { validateSchema } from "../schema/validate.ts";
import { type FieldError, invalidObject } from "../status-errors.ts";
import { strictDecodingError } from "./decode.ts";
import { kindContext, type RequestContext } from "./request-context.ts";

/** Members of metadata; whatever else is in it is unknown. */
const METADATA: ReadonlySet<string> = new Set([
  "annotations",
  "creationTimestamp",
  "deletionGracePeriodSeconds",
  "deletionTimestamp",
  "finalizers",
  "generateName",
  "generation",
  "labels",
  "managedFields",
  "name",
  "namespace",
  "ownerReferences",
  "resourceVersion",
  "selfLink",
  "uid",
]);

/** Drops unknown members; strict validation refuses them instead. @throws ApiStatusError 400 */
export function pruneUnknown(
  context: RequestContext,
  resource: ServedResource,
  object: JsonMap,
  options: WriteOptions,
): void {
  const unknown = unknownMembers(context, resource, object);
  if (unknown.length === 0 || options.fieldValidation === "Ignore") return;
  if (options.fieldValidation === "Strict") throw strictDecodingError(resource, unknown);
  for (const path of unknown) options.onWarning?.(`unknown field ${JSON.stringify(path)}`);
}

/** Drops members that the kind does not have, and says which. */
export function unknownMembers(context: RequestContext, resource: ServedResource, object: JsonMap): readonly string[] {
  const unknown = resource.custom
    ? [...pruneMetadata(object), ...(resource.prunes ? prune(object, resource.schema) : [])]
    : context.builtinMembers.prune(object, apiVersionOf(resource), resource.kind);
  return unknown.sort();
}

function pruneMetadata(object: JsonMap): string[] {
  const metadata = metadataOf(object);
  const unknown = Object.keys(metadata).filter((name) => !METADATA.has(name));
  for (const name of unknown) delete metadata[name];
  return unknown.map((name) => `metadata.${name}`);
}

/** Schema defaults, then those of the kind. */
export function fillDefaults(context: RequestContext, resource: ServedResource, object: JsonMap): void {
  if (!resource.custom) dropNulls(object);
  applyDefaults(object, resource.schema);
  resource.rules.applyDefaults?.(object, kindContext(context));
  if (!resource.custom) context.builtinMembers.dropEmpty(object, apiVersionOf(resource), resource.kind);
}

/** What the server puts right in the metadata that a client sent, and what it would rather not see. */
export function tidyMetadata(resource: ServedResource, metadata: JsonMap, options: WriteOptions): void {
  // Go leaves out what is empty.
  for (const field of ["labels", "annotations", "finalizers", "ownerReferences"]) {
    const value = metadata[field];
    if (value === null || (typeof value === "object" && Object.keys(value).length === 0)) delete metadata[field];
  }
  const owners = member(metadata, "ownerReferences");
  if (Array.isArray(owners)) {
    const seen = new Set<string>();
    const twice = new Set<string>();
    metadata["ownerReferences"] = owners.filter((owner) => {
      const text = sortedJson(owner);
      if (seen.has(text) && isMap(owner)) twice.add(memberText(owner, "uid"));
      const first = !seen.has(text);
      seen.add(text);
      return first;
    });
    if (twice.size > 0)
      options.onWarning?.(
        `.metadata.ownerReferences contains duplicate entries; API server dedups owner references in 1.20+, and may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: ${[...twice].join(", ")}`,
      );
  }
  if (!resource.custom) return;
  for (const finalizer of finalizersOf(metadata))
    if (
      !finalizer.includes("/") &&
      !STANDARD_FINALIZERS.has(finalizer) &&
      qualifiedNameProblem(finalizer) === undefined
    )
      options.onWarning?.(
        `metadata.finalizers: ${JSON.stringify(finalizer)}: prefer a domain-qualified finalizer name to avoid accidental conflicts with other finalizer writers`,
      );
}

/** Errors after which rules are not run: what they look at may be missing or of another type. */
const BLOCKING: ReadonlySet<FieldError["reason"]> = new Set([
  "FieldValueNotSupported",
  "FieldValueRequired",
  "FieldValueTooLong",
  "FieldValueTooMany",
  "FieldValueTypeInvalid",
]);
const RULES_NOT_CHECKED: FieldError = {
  reason: "FieldValueInvalid",
  field: "<nil>",
  message:
    "Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation",
};

/** Everything that must hold before an object is stored. @throws ApiStatusError 422 with all causes */
export function validateObject(
  context: RequestContext,
  resource: ServedResource,
  object: JsonMap,
  old: JsonMap | undefined,
): void {
  const metadata = metadataOf(object);
  const errors: FieldError[] = validateMetadata(metadata, resource);
  if (old) errors.push(...validateMetadataUpdate(metadata, metadataOf(old)));
  const found = validateSchema(object, resource.schema);
  const schemaErrors = !resource.custom ? builtinErrors(resource, found) : old ? ratchet(found, object, old) : found;
  errors.push(...schemaErrors);
  // Rules see only values of the right type.
  if (errors.some(({ reason }) => BLOCKING.has(reason)) || found.some(({ reason }) => BLOCKING.has(reason))) {
    if (resource.custom && resource.schema.hasRules && errors.length > 0) errors.push(RULES_NOT_CHECKED);
  } else errors.push(...validateRules(context.cel, object, old, resource.schema));
  errors.push(...(resource.rules.validate?.(object, old, kindContext(context)) ?? []));
  if (errors.length > 0)
    throw invalidObject(resource, memberText(metadata, "name") || memberText(metadata, "generateName"), errors);
}

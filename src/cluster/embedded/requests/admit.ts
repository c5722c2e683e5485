import type { WriteOptions } from "../../cluster.ts";
import { type JsonMap, memberText } from "../json/mutable-json.ts";
import { metadataOf, validateMetadata, validateMetadataUpdate } from "../metadata/validate-metadata.ts";
import { builtinErrors, dropNulls } from "../resources/builtin-decoding.ts";
import type { ServedResource } from "../resources/served-resource.ts";
import { validateRules } from "../schema/cel/validate-rules.ts";
import { applyDefaults } from "../schema/defaulting.ts";
import { prune } from "../schema/prune.ts";
import { ratchet } from "../schema/ratchet.ts";
import { validateSchema } from "../schema/validate.ts";
import { type FieldError, invalidObject, invalidValue } from "../status-errors.ts";
import { strictDecodingError } from "./decode.ts";
import { kindContext, type RequestContext } from "./request-context.ts";

/** Findings of the schema after which kube-apiserver evaluates no rules. */
const BLOCKING: ReadonlySet<FieldError["reason"]> = new Set([
  "FieldValueRequired",
  "FieldValueTooLong",
  "FieldValueTooMany",
  "FieldValueTypeInvalid",
]);
const RULES_NOT_CHECKED =
  "some validation rules were not checked because the object was invalid; correct the existing errors to complete validation";

/** Drops unknown members of custom resources; strict validation refuses them instead. @throws ApiStatusError 400 */
export function pruneUnknown(resource: ServedResource, object: JsonMap, options: WriteOptions): void {
  if (!resource.prunes) return;
  const unknown = prune(object, resource.schema);
  if (unknown.length > 0 && options.fieldValidation === "Strict") throw strictDecodingError(resource, unknown);
  if (options.fieldValidation === "Ignore") return;
  for (const path of unknown) options.onWarning?.(`unknown field ${JSON.stringify(path)}`);
}

/** Schema defaults, then those of the kind. */
export function fillDefaults(context: RequestContext, resource: ServedResource, object: JsonMap): void {
  if (!resource.custom) dropNulls(object);
  applyDefaults(object, resource.schema);
  resource.rules.applyDefaults?.(object, kindContext(context));
}

/** Everything that must hold before an object is stored. @throws ApiStatusError 422 with all causes */
export function validateObject(
  context: RequestContext,
  resource: ServedResource,
  object: JsonMap,
  old: JsonMap | undefined,
): void {
  const metadata = metadataOf(object);
  const errors: FieldError[] = validateMetadata(metadata, resource.nameRule, resource.namespaced);
  if (old) errors.push(...validateMetadataUpdate(metadata, metadataOf(old)));
  const found = validateSchema(object, resource.schema);
  const schemaErrors = !resource.custom ? builtinErrors(resource, found) : old ? ratchet(found, object, old) : found;
  errors.push(...schemaErrors);
  // Rules see only values of the right type: they run when the schema holds.
  if (found.length === 0) errors.push(...validateRules(context.cel, object, old, resource.schema));
  else if (resource.custom && resource.schema.hasRules && schemaErrors.some(({ reason }) => BLOCKING.has(reason))) {
    errors.push(invalidValue("<nil>", null, RULES_NOT_CHECKED));
  }
  errors.push(...(resource.rules.validate?.(object, old, kindContext(context)) ?? []));
  if (errors.length > 0)
    throw invalidObject(resource, memberText(metadata, "name") || memberText(metadata, "generateName"), errors);
}

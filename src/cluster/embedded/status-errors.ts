import type { ResourceIdentity } from "./resources/resource-identity.ts";
import { groupResource } from "../../api/resource-type.ts";
import { ApiStatusError, type StatusCause } from "../api-status-error.ts";

/** What is wrong with one field, in the words of Kubernetes' `field.Error`. */
export interface FieldError {
  readonly reason:
    | "FieldValueRequired"
    | "FieldValueInvalid"
    | "FieldValueTypeInvalid"
    | "FieldValueNotSupported"
    | "FieldValueDuplicate"
    | "FieldValueForbidden"
    | "FieldValueTooLong"
    | "FieldValueTooMany"
    | "FieldValueNotFound"
    | "InternalError";
  /** Path such as `spec.versions[0].name`; `<nil>` for the object itself. */
  readonly field: string;
  /** Message without the path, for example `Required value: must not be empty`. */
  readonly message: string;
}

/** A value as Go's `%#v` shows it in field errors: strings quoted, the rest as JSON. */
export function shownValue(value: unknown): string {
  return JSON.stringify(value) ?? "null";
}

export function required(field: string, detail = ""): FieldError {
  return { reason: "FieldValueRequired", field, message: detail ? `Required value: ${detail}` : "Required value" };
}

export function invalidValue(field: string, value: unknown, detail: string): FieldError {
  return { reason: "FieldValueInvalid", field, message: `Invalid value: ${shownValue(value)}: ${detail}` };
}

export function typeInvalid(field: string, value: unknown, detail: string): FieldError {
  return { reason: "FieldValueTypeInvalid", field, message: `Invalid value: ${shownValue(value)}: ${detail}` };
}

export function notSupported(field: string, value: unknown, supported: readonly unknown[]): FieldError {
  const values = supported.map(shownValue).join(", ");
  return {
    reason: "FieldValueNotSupported",
    field,
    message: `Unsupported value: ${shownValue(value)}: supported values: ${values}`,
  };
}

export function duplicateValue(field: string, value: unknown): FieldError {
  return { reason: "FieldValueDuplicate", field, message: `Duplicate value: ${shownValue(value)}` };
}

export function notFoundValue(field: string, value: unknown): FieldError {
  return { reason: "FieldValueNotFound", field, message: `Not found: ${shownValue(value)}` };
}

export function forbiddenField(field: string, detail: string): FieldError {
  return { reason: "FieldValueForbidden", field, message: `Forbidden: ${detail}` };
}

export function tooLong(field: string, limit: number): FieldError {
  return { reason: "FieldValueTooLong", field, message: `Too long: may not be more than ${limit} bytes` };
}

export function tooMany(field: string, actual: number, limit: number): FieldError {
  return { reason: "FieldValueTooMany", field, message: `Too many: ${actual}: must have at most ${limit} items` };
}

function groupKind(type: ResourceIdentity): string {
  return type.group === "" ? type.kind : `${type.kind}.${type.group}`;
}

/** 422 with one cause per field error; the message lists them as the API server does. */
export function invalidObject(type: ResourceIdentity, name: string, errors: readonly FieldError[]): ApiStatusError {
  const texts = errors.map((error) => `${error.field}: ${error.message}`);
  const text = texts.length === 1 ? texts.join("") : `[${texts.join(", ")}]`;
  const causes: StatusCause[] = errors.map(({ reason, field, message }) => ({ reason, field, message }));
  return new ApiStatusError(422, "Invalid", `${groupKind(type)} ${JSON.stringify(name)} is invalid: ${text}`, {
    name,
    group: type.group,
    kind: type.kind,
    causes,
  });
}

function details(type: ResourceIdentity, name: string): { name: string; group?: string; kind: string } {
  return type.group === "" ? { name, kind: type.resource } : { name, group: type.group, kind: type.resource };
}

export function notFound(type: ResourceIdentity, name: string): ApiStatusError {
  return new ApiStatusError(
    404,
    "NotFound",
    `${groupResource(type)} ${JSON.stringify(name)} not found`,
    details(type, name),
  );
}

/** 404 of a path that the server does not serve at all. */
export function notServed(): ApiStatusError {
  return new ApiStatusError(404, "NotFound", "the server could not find the requested resource");
}

export function alreadyExists(type: ResourceIdentity, name: string): ApiStatusError {
  return new ApiStatusError(
    409,
    "AlreadyExists",
    `${groupResource(type)} ${JSON.stringify(name)} already exists`,
    details(type, name),
  );
}

export function conflict(type: ResourceIdentity, name: string, why: string): ApiStatusError {
  return new ApiStatusError(
    409,
    "Conflict",
    `Operation cannot be fulfilled on ${groupResource(type)} ${JSON.stringify(name)}: ${why}`,
    details(type, name),
  );
}

export const MODIFIED_MESSAGE =
  "the object has been modified; please apply your changes to the latest version and try again";

export function forbidden(type: ResourceIdentity, name: string, why: string, causes?: StatusCause[]): ApiStatusError {
  const text = `${groupResource(type)} ${JSON.stringify(name)} is forbidden: ${why}`;
  return new ApiStatusError(403, "Forbidden", text, { ...details(type, name), ...(causes ? { causes } : {}) });
}

export function badRequest(message: string): ApiStatusError {
  return new ApiStatusError(400, "BadRequest", message);
}

export function methodNotAllowed(type: ResourceIdentity, verb: string, why?: string): ApiStatusError {
  return new ApiStatusError(
    405,
    "MethodNotAllowed",
    why ?? `${verb} is not supported on resources of kind ${JSON.stringify(groupResource(type))}`,
  );
}

export function expired(message: string): ApiStatusError {
  return new ApiStatusError(410, "Expired", message);
}

export function internalError(message: string): ApiStatusError {
  return new ApiStatusError(500, "InternalError", `Internal error occurred: ${message}`);
}

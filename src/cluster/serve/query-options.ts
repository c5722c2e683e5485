import { ApiStatusError, type StatusCause } from "../api-status-error.ts";
import type { WriteOptions } from "../cluster.ts";
import { badRequest } from "./api-errors.ts";

/** Longest field manager, as Kubernetes limits it. */
const MAX_MANAGER_CHARACTERS = 128;
const FIELD_VALIDATIONS = ["Ignore", "Strict", "Warn"] as const;

/** A text parameter; undefined when it is absent or empty. */
export function textParameter(query: URLSearchParams, name: string): string | undefined {
  return query.get(name) || undefined;
}

/** A boolean parameter as Kubernetes reads it: present means true unless it says `false` or `0`. */
export function booleanParameter(query: URLSearchParams, name: string): boolean {
  const value = query.get(name);
  return value !== null && value.toLowerCase() !== "false" && value !== "0";
}

/** A whole number that is not negative. @throws ApiStatusError 400 */
export function numberParameter(query: URLSearchParams, name: string): number | undefined {
  const value = query.get(name);
  if (value === null || value === "") return undefined;
  if (!/^-?\d{1,15}$/.test(value))
    throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(value)}: invalid syntax`);
  return Math.max(0, Number(value));
}

/**
 * Options of a create, update or patch.
 *
 * @param kind `CreateOptions`, `UpdateOptions` or `PatchOptions`, for the error text
 * @throws ApiStatusError 422 for unknown values
 */
export function writeOptions(query: URLSearchParams, userAgent: string | undefined, kind: string): WriteOptions {
  const causes: StatusCause[] = [];
  const fieldManager = query.get("fieldManager") ?? "";
  if (fieldManager.length > MAX_MANAGER_CHARACTERS)
    causes.push({
      reason: "FieldValueTooLong",
      field: "fieldManager",
      message: `Too long: may not be more than ${MAX_MANAGER_CHARACTERS} bytes`,
    });
  const validation = textParameter(query, "fieldValidation") ?? "Warn";
  const fieldValidation = FIELD_VALIDATIONS.find((known) => known === validation);
  if (fieldValidation === undefined) causes.push(notSupported("fieldValidation", validation, FIELD_VALIDATIONS));
  const dryRun = dryRunParameter(query.getAll("dryRun"), causes);
  if (causes.length > 0) throw invalidOptions(kind, causes);
  return {
    fieldManager: fieldManager === "" ? managerOf(userAgent) : fieldManager,
    ...(dryRun ? { dryRun } : {}),
    ...(fieldValidation === undefined ? {} : { fieldValidation }),
    ...(booleanParameter(query, "force") ? { force: true } : {}),
  };
}

/** True for `All`, the only stage there is. */
export function dryRunParameter(values: readonly string[], causes: StatusCause[]): boolean {
  const stages = values.filter((value) => value !== "");
  for (const stage of stages) if (stage !== "All") causes.push(notSupported("dryRun", stage, ["All"]));
  return stages.length > 0;
}

/** 422 of request options; those of pods belong to the core group. */
export function invalidOptions(
  kind: string,
  causes: readonly StatusCause[],
  group: "meta.k8s.io" | "" = "meta.k8s.io",
): ApiStatusError {
  const texts = causes.map((cause) => `${cause.field ?? ""}: ${cause.message}`);
  const text = texts.length === 1 ? texts.join("") : `[${texts.join(", ")}]`;
  return new ApiStatusError(422, "Invalid", `${group === "" ? kind : `${kind}.${group}`} "" is invalid: ${text}`, {
    group,
    kind,
    causes,
  });
}

function notSupported(field: string, value: string, supported: readonly string[]): StatusCause {
  const values = supported.map((each) => JSON.stringify(each)).join(", ");
  return {
    reason: "FieldValueNotSupported",
    field,
    message: `Unsupported value: ${JSON.stringify(value)}: supported values: ${values}`,
  };
}

/** The program's name in its User-Agent, which is the manager of whoever gives none. */
function managerOf(userAgent: string | undefined): string {
  const [name = ""] = (userAgent ?? "").split("/", 1);
  return name.replaceAll(/[^\x20-\x7e]/g, "").slice(0, MAX_MANAGER_CHARACTERS) || "unknown";
}

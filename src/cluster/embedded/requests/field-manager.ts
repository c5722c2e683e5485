import { apiVersionOf } from "../../../api/resource-type.ts";
import type { WriteOptions } from "../../cluster.ts";
import type { ManagerId } from "../apply/managers.ts";
import type { ServedResource } from "../resources/served-resource.ts";
import { type FieldError, invalidObject, invalidValue, tooLong } from "../status-errors.ts";

/** Longest field manager (apimachinery `FieldManagerMaxLength`). */
const MAX_MANAGER_LENGTH = 128;
/** Manager of writes that name none. */
const UNKNOWN_MANAGER = "unknown";

/** Who a request writes as. @throws ApiStatusError 422 for an unusable name */
export function managerOf(
  resource: ServedResource,
  options: WriteOptions,
  operation: "Apply" | "Update",
  kind: "CreateOptions" | "UpdateOptions" | "PatchOptions",
): ManagerId {
  const manager = options.fieldManager ?? UNKNOWN_MANAGER;
  const errors: FieldError[] = [];
  if (manager.length > MAX_MANAGER_LENGTH) errors.push(tooLong("fieldManager", MAX_MANAGER_LENGTH));
  // Positions count code points, as Go's runes do.
  const characters = Array.from(manager);
  const wrong = characters.findIndex((character) => !/[\p{L}\p{M}\p{N}\p{P}\p{S} ]/u.test(character));
  if (wrong >= 0) {
    const point = (characters[wrong] ?? "").codePointAt(0) ?? 0;
    const shown = point.toString(16).toUpperCase().padStart(4, "0");
    errors.push(invalidValue("fieldManager", manager, `invalid character U+${shown} (at position ${wrong})`));
  }
  if (errors.length > 0)
    throw invalidObject({ group: "meta.k8s.io", version: "v1", resource: "", kind, namespaced: false }, "", errors);
  return { manager, operation, apiVersion: apiVersionOf(resource), subresource: options.subresource ?? "" };
}

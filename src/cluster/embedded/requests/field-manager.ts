import { apiVersionOf } from "../../../api/resource-type.ts";
import type { WriteOptions } from "../../cluster.ts";
import type { ManagerId } from "../apply/managers.ts";
import type { ServedResource } from "../resources/served-resource.ts";
import { badRequest } from "../status-errors.ts";

/** Longest field manager (apimachinery `FieldManagerMaxLength`). */
const MAX_MANAGER_LENGTH = 128;
/** Manager of writes that name none. */
const UNKNOWN_MANAGER = "unknown";

/** Who a request writes as. @throws ApiStatusError 400 for an unusable name */
export function managerOf(resource: ServedResource, options: WriteOptions, operation: "Apply" | "Update"): ManagerId {
  const manager = options.fieldManager ?? UNKNOWN_MANAGER;
  if (manager.length > MAX_MANAGER_LENGTH) {
    throw badRequest(`fieldManager: Too long: may not be more than ${MAX_MANAGER_LENGTH} bytes`);
  }
  return { manager, operation, apiVersion: apiVersionOf(resource), subresource: options.subresource ?? "" };
}

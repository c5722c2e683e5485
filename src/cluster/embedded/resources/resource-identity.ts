import type { ResourceType } from "../../../api/resource-type.ts";

/** A resource without the type of its objects: what is enough to find it and to name it in errors. */
export type ResourceIdentity = Omit<ResourceType, "object">;

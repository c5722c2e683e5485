import type { ObjectKey } from "../../api/object.ts";
import type { DiscoveredResource } from "../cluster.ts";

/** What one resource request is about. */
export interface ResourceTarget {
  readonly resource: DiscoveredResource;
  /** Empty at the cluster scope and for lists over all namespaces. */
  readonly namespace: string;
  /** Empty for a collection. */
  readonly name: string;
  readonly subresource: "" | "status" | "scale" | "finalize";
}

/** The object that a target names. */
export function keyOf({ resource, namespace, name }: ResourceTarget): ObjectKey {
  return resource.namespaced ? { namespace, name } : { name };
}

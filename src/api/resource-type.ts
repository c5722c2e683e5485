import type { KubeObject, Unstructured } from "./object.ts";

/**
 * One served resource: where its REST path is and what its objects are. The type parameter is what `get` and `list` return; it
 * exists only for the compiler. Constants for our kinds are generated from `crds/`; built-in ones stand in `builtin.ts`; anything
 * else comes from discovery.
 */
export interface ResourceType<T extends KubeObject = Unstructured> {
  /** API group; empty for core. */
  readonly group: string;
  readonly version: string;
  /** Plural, lower case: the path segment. */
  readonly resource: string;
  readonly kind: string;
  readonly namespaced: boolean;
  /** Never set: carries `T`. */
  readonly object?: T;
}

/** `v1` or `apps/v1`. */
export function apiVersionOf(type: { readonly group: string; readonly version: string }): string {
  return type.group === "" ? type.version : `${type.group}/${type.version}`;
}

/** `pods` or `deployments.apps`: how kubectl and RBAC messages name a resource. */
export function groupResource(type: { readonly group: string; readonly resource: string }): string {
  return type.group === "" ? type.resource : `${type.resource}.${type.group}`;
}

/** Splits an apiVersion. */
export function parseApiVersion(apiVersion: string): { readonly group: string; readonly version: string } {
  const slash = apiVersion.indexOf("/");
  return slash < 0
    ? { group: "", version: apiVersion }
    : { group: apiVersion.slice(0, slash), version: apiVersion.slice(slash + 1) };
}

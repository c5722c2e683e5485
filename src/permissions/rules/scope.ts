import type { AccessRequest } from "./access-request.ts";

/** How a binding admits requests (permissions §5.4). */
export type Scope = "cluster" | "namespaced";

/** The part of a binding that decides about scope. */
export interface ScopedGrant {
  readonly scope: Scope;
  /** With `namespaced`: these namespaces, or every one when empty. Never a cluster-wide request. */
  readonly namespaces: readonly string[];
}

/** True when a binding lets its rules speak about `request`. */
export function scopeAdmits(grant: ScopedGrant, request: AccessRequest): boolean {
  if (grant.scope === "cluster") return true;
  if (request.form === "path" || request.namespace === "") return false;
  return grant.namespaces.length === 0 || grant.namespaces.includes(request.namespace);
}

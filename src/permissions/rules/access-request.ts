import { combinedResource } from "../../api/rbac/match.ts";

/** A question about one object, collection or subresource (permissions §5.2). */
export interface ResourceRequest {
  readonly form: "resource";
  readonly verb: string;
  /** `""` is the core group. */
  readonly apiGroup: string;
  /** Plural name without a slash; the boundary splits `pods/log` (permissions §5.6). */
  readonly resource: string;
  readonly subresource: string;
  /** Empty asks without a name. */
  readonly name: string;
  /** Empty asks cluster-wide. */
  readonly namespace: string;
}

/** A question about a path. */
export interface NonResourceRequest {
  readonly form: "path";
  readonly verb: string;
  readonly path: string;
}

/** Exactly one of the two forms. */
export type AccessRequest = ResourceRequest | NonResourceRequest;

/** One line for people and audit events: `get pods/log in default`, `get /healthz`. */
export function requestText(request: AccessRequest): string {
  if (request.form === "path") return `${request.verb} ${request.path}`;
  const group = request.apiGroup === "" ? "" : `.${request.apiGroup}`;
  const name = request.name === "" ? "" : ` "${request.name}"`;
  const where = request.namespace === "" ? " cluster-wide" : ` in namespace ${request.namespace}`;
  return `${request.verb} ${combinedResource(request.resource, request.subresource)}${group}${name}${where}`;
}

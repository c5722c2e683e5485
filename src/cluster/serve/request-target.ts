import { badRequest } from "./api-errors.ts";

/** What the path of a request names. */
export type RequestTarget =
  | {
      readonly type: "resource";
      /** Empty for core. */
      readonly group: string;
      readonly version: string;
      /** Empty for cluster-scoped objects and for lists over all namespaces. */
      readonly namespace: string;
      readonly resource: string;
      /** Empty for a collection. */
      readonly name: string;
      /** Empty when the object itself is meant. */
      readonly subresource: string;
    }
  | { readonly type: "path"; readonly path: string };

/** Parts of a namespace that stand where a namespaced resource would. */
const NAMESPACE_SUBRESOURCES: ReadonlySet<string> = new Set(["status", "finalize"]);

/**
 * Splits a path as the Kubernetes REST API does: `/api/{version}/…` and `/apis/{group}/{version}/…`, then optionally
 * `namespaces/{namespace}`, then `{resource}[/{name}[/{subresource}]]`. Everything else is a plain path.
 *
 * @throws ApiStatusError 400 for a malformed percent sequence
 */
export function requestTarget(pathname: string): RequestTarget {
  const segments = pathname.split("/").filter((segment) => segment !== "");
  let rest: readonly string[];
  let group: string;
  let version: string;
  if (segments[0] === "api" && segments.length > 2) {
    [group, version, rest] = ["", decode(segments[1]), segments.slice(2)];
  } else if (segments[0] === "apis" && segments.length > 3) {
    [group, version, rest] = [decode(segments[1]), decode(segments[2]), segments.slice(3)];
  } else return { type: "path", path: pathname };
  const parts = rest.map(decode);
  const at = (
    namespace: string,
    [resource = "", name = "", subresource = "", ...more]: readonly string[],
  ): RequestTarget =>
    more.length > 0
      ? { type: "path", path: pathname }
      : { type: "resource", group, version, namespace, resource, name, subresource };
  const [first, namespace = "", third] = parts;
  if (first !== "namespaces" || third === undefined) return at("", parts);
  return NAMESPACE_SUBRESOURCES.has(third) && parts.length === 3
    ? { type: "resource", group, version, namespace: "", resource: "namespaces", name: namespace, subresource: third }
    : at(namespace, parts.slice(2));
}

function decode(segment: string | undefined): string {
  try {
    return decodeURIComponent(segment ?? "");
  } catch {
    throw badRequest(`invalid URL escape in path segment ${JSON.stringify(segment)}`);
  }
}

import type { KubeObject } from "../../api/object.ts";
import type { ResourceType } from "../../api/resource-type.ts";

/** Query parameters; absent values are left out. */
export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

/**
 * Path of a collection or, with a name, of an object: `/api/v1/namespaces/ns/pods/name/status`.
 * A namespaced type without a namespace is the collection of all namespaces.
 */
export function resourcePath<T extends KubeObject>(
  type: ResourceType<T>,
  at: { readonly namespace?: string | undefined; readonly name?: string; readonly subresource?: string | undefined },
): string {
  const root =
    type.group === "" ? `/api/${encode(type.version)}` : `/apis/${encode(type.group)}/${encode(type.version)}`;
  const namespace = type.namespaced && at.namespace ? `/namespaces/${encode(at.namespace)}` : "";
  const name = at.name === undefined ? "" : `/${encode(at.name)}`;
  const subresource = at.subresource === undefined ? "" : `/${encode(at.subresource)}`;
  return `${root}${namespace}/${encode(type.resource)}${name}${subresource}`;
}

/** `?a=1&b=2`, or nothing. */
export function queryText(query: Query): string {
  const parts: string[] = [];
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined || value === "" || value === false) continue;
    parts.push(`${name}=${encodeURIComponent(value)}`);
  }
  return parts.length === 0 ? "" : `?${parts.join("&")}`;
}

/** One path segment. `.` and `..` would be taken for steps by URL parsers, so they are refused here, not at the server. */
function encode(segment: string): string {
  if (segment === "" || segment === "." || segment === "..")
    throw new RangeError(`a path segment is a name, found ${JSON.stringify(segment)}`);
  return encodeURIComponent(segment);
}

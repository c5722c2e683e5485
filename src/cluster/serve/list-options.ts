import type { ListOptions } from "../cluster.ts";
import { badRequest } from "./api-errors.ts";
import { numberParameter, textParameter } from "./query-options.ts";
import type { ResourceTarget } from "./resource-target.ts";

/** What a query asks of a list or a watch. @throws ApiStatusError 400 */
export function listOptions(query: URLSearchParams, { resource, namespace, name }: ResourceTarget): ListOptions {
  const labelSelector = textParameter(query, "labelSelector");
  const asked = textParameter(query, "fieldSelector");
  // Watching one object by its path is watching its collection for its name.
  const fieldSelector = name === "" ? asked : [`metadata.name=${name}`, asked].filter(Boolean).join(",");
  const limit = numberParameter(query, "limit");
  const continued = textParameter(query, "continue");
  const resourceVersion = textParameter(query, "resourceVersion");
  const match = textParameter(query, "resourceVersionMatch");
  if (match !== undefined && match !== "Exact" && match !== "NotOlderThan")
    throw badRequest(`resourceVersionMatch: Unsupported value: ${JSON.stringify(match)}`);
  return {
    ...(resource.namespaced && namespace !== "" ? { namespace } : {}),
    ...(labelSelector === undefined ? {} : { labelSelector }),
    ...(fieldSelector === undefined ? {} : { fieldSelector }),
    ...(limit === undefined || limit === 0 ? {} : { limit }),
    ...(continued === undefined ? {} : { continue: continued }),
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
    ...(match === undefined ? {} : { resourceVersionMatch: match }),
  };
}

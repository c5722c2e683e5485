import type { RequestLabels } from "./api-metrics.ts";
import { methodNotAllowed } from "./api-errors.ts";
import type { Exchange } from "./exchange.ts";
import { booleanParameter } from "./query-options.ts";
import { mediaType } from "./request-body.ts";
import type { RequestTarget } from "./request-target.ts";
import type { ServedSurface } from "./served-surface.ts";

type ResourcePath = Extract<RequestTarget, { readonly type: "resource" }>;

/** The verb of authorization and handlers. @throws ApiStatusError 405 */
export function resourceVerb(exchange: Exchange, { name, subresource }: ResourcePath): string {
  const collection = name === "";
  switch (exchange.request.method) {
    case "GET":
    case "HEAD":
      if (booleanParameter(exchange.query, "watch")) return "watch";
      return collection ? "list" : "get";
    case "POST":
      if (!collection && subresource === "") throw methodNotAllowed();
      return "create";
    case "PUT":
      if (collection) throw methodNotAllowed();
      return "update";
    case "PATCH":
      if (collection) throw methodNotAllowed();
      return "patch";
    case "DELETE":
      return collection ? "deletecollection" : "delete";
    default:
      throw methodNotAllowed();
  }
}

/** The verb of authorization for a path that is no resource. */
export function methodVerb(exchange: Exchange): string {
  const method = exchange.request.method ?? "GET";
  return method === "HEAD" ? "get" : method.toLowerCase();
}

/** Whether the answer goes on until the client has enough: a watch or a followed log. */
export function isLong({ query, request }: Exchange): boolean {
  return request.method === "GET" && (booleanParameter(query, "watch") || booleanParameter(query, "follow"));
}

/** How a request is counted. What is not served is counted without names, which any client could make up. */
export function requestLabels(exchange: Exchange, target: RequestTarget, surface: ServedSurface): RequestLabels {
  const method = exchange.request.method ?? "";
  const known = METHODS.has(method) ? method : "OTHER";
  const served = target.type === "resource" ? surface.find(target.group, target.version, target.resource) : undefined;
  if (target.type === "path" || served === undefined)
    return { verb: known, group: "", version: "", resource: "", subresource: "", scope: "" };
  const { group, version, namespace, name } = target;
  const single = name !== "" || method === "POST";
  const subresource = SUBRESOURCES.has(target.subresource) ? target.subresource : "";
  return {
    verb: countedVerb(exchange, known, name === ""),
    group,
    version,
    resource: served.resource,
    subresource,
    scope: single ? "resource" : namespace === "" ? "cluster" : "namespace",
  };
}

const METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]);
const SUBRESOURCES: ReadonlySet<string> = new Set(["status", "scale", "log", "token", "finalize"]);

function countedVerb(exchange: Exchange, method: string, collection: boolean): string {
  switch (method) {
    case "GET":
    case "HEAD":
      if (booleanParameter(exchange.query, "watch")) return "WATCH";
      return collection ? "LIST" : "GET";
    case "PATCH":
      return mediaType(exchange.header("content-type")) === "application/apply-patch+yaml" ? "APPLY" : "PATCH";
    case "DELETE":
      return collection ? "DELETECOLLECTION" : "DELETE";
    default:
      return method;
  }
}

import { createHash } from "node:crypto";
import type { JsonObject } from "../../base/json.ts";
import type { DiscoveredResource } from "../cluster.ts";
import { REVIEW_RESOURCES } from "./access-reviews.ts";
import type { BuiltInSchemas } from "./built-in-schemas.ts";
import {
  AGGREGATED,
  aggregatedDiscovery,
  coreVersions,
  groupDocument,
  groupList,
  resourceList,
} from "./discovery-documents.ts";
import type { Exchange } from "./exchange.ts";
import { negotiateDocument } from "./negotiation.ts";
import { openApiGroupVersions, openApiV2, openApiV3, type SchemaSource } from "./openapi.ts";
import type { ServedCluster } from "./served-cluster.ts";

/** What `/version` says. The API is that of this minor version of Kubernetes; `+seam` says that the server is not. */
const VERSION = {
  major: "1",
  minor: "36",
  gitVersion: "v1.36.0+seam",
  gitCommit: "",
  gitTreeState: "clean",
  buildDate: "1970-01-01T00:00:00Z",
  goVersion: "",
  compiler: "",
  platform: `${process.platform}/${process.arch === "x64" ? "amd64" : process.arch}`,
} as const;

const DISCOVERY_OFFERS = [
  { name: "v2", type: "application/json", parameters: { ...AGGREGATED, v: "v2" } },
  { name: "v2beta1", type: "application/json", parameters: { ...AGGREGATED, v: "v2beta1" } },
  { name: "legacy", type: "application/json", parameters: {} },
] as const;
const JSON_OFFER = [{ name: "json", type: "application/json", parameters: {} }] as const;

const PLAIN = "text/plain; charset=utf-8";
const HEALTH: ReadonlySet<string> = new Set(["/healthz", "/livez", "/readyz"]);

/**
 * Answers requests for everything that is no object: discovery, OpenAPI, version, health.
 *
 * @returns false when there is no such path
 * @throws ApiStatusError 406
 */
export function answerDocument(
  exchange: Exchange,
  cluster: ServedCluster,
  builtIn: BuiltInSchemas,
  resources: readonly DiscoveredResource[],
): boolean {
  const segments = exchange.path.split("/").filter((segment) => segment !== "");
  const path = `/${segments.join("/")}`;
  if (HEALTH.has(path)) {
    // Reads are answered from memory and writes are durable or refused: whoever answers is healthy.
    const verbose = exchange.query.has("verbose");
    exchange.sendText(200, verbose ? `[+]ping ok\n[+]store ok\n${path.slice(1)} check passed\n` : "ok", PLAIN);
    return true;
  }
  switch (segments[0]) {
    case undefined:
      return sendJson(exchange, { paths: rootPaths(resources) });
    case "version":
      return segments.length === 1 && sendJson(exchange, VERSION);
    case "api":
      return answerDiscovery(exchange, resources, segments, true);
    case "apis":
      return answerDiscovery(exchange, resources, segments, false);
    case "openapi":
      return answerOpenApi(exchange, cluster, builtIn, resources, segments);
    default:
      return false;
  }
}

function answerDiscovery(
  exchange: Exchange,
  resources: readonly DiscoveredResource[],
  segments: readonly string[],
  core: boolean,
): boolean {
  if (segments.length === 1) {
    const form = negotiateDocument(exchange.header("accept"), DISCOVERY_OFFERS);
    if (form === "legacy") {
      const address = exchange.header("host") ?? "";
      return sendJson(exchange, core ? coreVersions(resources, address) : groupList(resources));
    }
    exchange.sendTagged(
      aggregatedDiscovery(resources, core, form),
      `application/json;g=${AGGREGATED.g};v=${form};as=${AGGREGATED.as}`,
    );
    return true;
  }
  const [, first = "", second = ""] = segments;
  const document = core
    ? segments.length === 2
      ? resourceList(resources, "", first)
      : undefined
    : segments.length === 2
      ? groupDocument(resources, first)
      : segments.length === 3
        ? resourceList(resources, first, second)
        : undefined;
  return document !== undefined && sendJson(exchange, document);
}

/** Reviews are never stored, so the cluster has no schema for them. */
const REVIEW_SCHEMA: JsonObject = {
  type: "object",
  description: "A question about access: the answer comes in status.",
  "x-kubernetes-preserve-unknown-fields": true,
};

function answerOpenApi(
  exchange: Exchange,
  cluster: ServedCluster,
  builtIn: BuiltInSchemas,
  resources: readonly DiscoveredResource[],
  segments: readonly string[],
): boolean {
  const path = segments.slice(1).join("/");
  const source: SchemaSource = {
    builtIn,
    schemaOf: (resource) =>
      REVIEW_RESOURCES.includes(resource)
        ? REVIEW_SCHEMA
        : cluster.resourceDetails(resource.group, resource.version, resource.resource).openApiSchema,
  };
  if (path === "v2") return sendJson(exchange, openApiV2(source, resources));
  if (path === "v3") {
    const paths: Record<string, JsonObject> = {};
    for (const { group, version, path } of openApiGroupVersions(resources)) {
      const document = openApiV3(source, resources, group, version);
      const hash = createHash("sha256").update(JSON.stringify(document)).digest("hex").toUpperCase();
      paths[path] = { serverRelativeURL: `/openapi/v3/${path}?hash=${hash}` };
    }
    return sendJson(exchange, { paths });
  }
  const found = openApiGroupVersions(resources).find((each) => `v3/${each.path}` === path);
  const document = found === undefined ? undefined : openApiV3(source, resources, found.group, found.version);
  return document !== undefined && sendJson(exchange, document);
}

/** These documents exist as JSON only; a client that insists on protobuf gets 406 and falls back. */
function sendJson(exchange: Exchange, document: JsonObject): true {
  negotiateDocument(exchange.header("accept"), JSON_OFFER);
  exchange.sendTagged(document);
  return true;
}

function rootPaths(resources: readonly DiscoveredResource[]): string[] {
  const groups = resources.flatMap(({ group, version }) =>
    group === "" ? [`/api/${version}`] : [`/apis/${group}`, `/apis/${group}/${version}`],
  );
  return [...new Set(["/api", "/apis", ...groups, ...HEALTH, "/openapi/v2", "/openapi/v3", "/version"])].sort();
}

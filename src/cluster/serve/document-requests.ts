import type { JsonObject } from "../../base/json.ts";
import type { DiscoveredResource } from "../cluster.ts";
import { REVIEW_RESOURCES } from "./access-reviews.ts";
import type { ApiMetrics } from "./api-metrics.ts";
import { authorityOf } from "./api-request.ts";
import type { BuiltInSchemas } from "./built-in-schemas.ts";
import {
  AGGREGATED,
  aggregatedDiscovery,
  coreVersions,
  groupDocument,
  groupList,
  resourceList,
} from "./discovery-documents.ts";
import { type Exchange, type TaggedText, taggedText } from "./exchange.ts";
import { answerHealth, type Health } from "./health.ts";
import { negotiateDocument } from "./negotiation.ts";
import { openApiGroupVersions, openApiV2, openApiV3, type SchemaSource } from "./openapi.ts";
import type { ServedCluster } from "./served-cluster.ts";
import type { ServedSurface } from "./served-surface.ts";

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

const HEALTH = ["/healthz", "/livez", "/readyz"];

/** What documents are made from. */
export interface DocumentSources {
  readonly cluster: ServedCluster;
  readonly builtIn: BuiltInSchemas;
  readonly surface: ServedSurface;
  readonly health: Health;
  readonly metrics: ApiMetrics;
}

/**
 * Answers requests for everything that is no object: discovery, OpenAPI, version, health, metrics.
 *
 * @returns false when there is no such path
 * @throws ApiStatusError 406
 */
export async function answerDocument(exchange: Exchange, sources: DocumentSources): Promise<boolean> {
  const { surface } = sources;
  const segments = exchange.path.split("/").filter((segment) => segment !== "");
  switch (segments[0]) {
    case undefined:
      return sendJson(
        exchange,
        surface.document("/", () => ({ paths: rootPaths(surface.resources) })),
      );
    case "version":
      return (
        segments.length === 1 &&
        sendJson(
          exchange,
          surface.document("/version", () => VERSION),
        )
      );
    case "healthz":
    case "livez":
    case "readyz":
      return answerHealth(exchange, sources.health, segments);
    case "metrics": {
      if (segments.length > 1) return false;
      const { text, contentType } = await sources.metrics.scrape();
      exchange.sendText(200, text, contentType);
      return true;
    }
    case "api":
      return answerDiscovery(exchange, surface, segments, true);
    case "apis":
      return answerDiscovery(exchange, surface, segments, false);
    case "openapi":
      return answerOpenApi(exchange, sources, segments);
    default:
      return false;
  }
}

function answerDiscovery(
  exchange: Exchange,
  surface: ServedSurface,
  segments: readonly string[],
  core: boolean,
): boolean {
  const { resources } = surface;
  if (segments.length === 1) {
    const form = negotiateDocument(exchange.header("accept"), DISCOVERY_OFFERS);
    if (form === "legacy") {
      return core
        ? sendJson(exchange, taggedText(coreVersions(resources, authorityOf(exchange.request))))
        : sendJson(
            exchange,
            surface.document("/apis", () => groupList(resources)),
          );
    }
    exchange.sendTagged(
      surface.document(`/${core ? "api" : "apis"} ${form}`, () => aggregatedDiscovery(resources, core, form)),
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
  return document !== undefined && sendJson(exchange, taggedText(document));
}

/** Reviews are never stored, so the cluster has no schema for them. */
const REVIEW_SCHEMA: JsonObject = {
  type: "object",
  description: "A question about access: the answer comes in status.",
  "x-kubernetes-preserve-unknown-fields": true,
};

function answerOpenApi(exchange: Exchange, sources: DocumentSources, segments: readonly string[]): boolean {
  const { cluster, surface, builtIn } = sources;
  const { resources } = surface;
  const path = segments.slice(1).join("/");
  const source: SchemaSource = {
    builtIn,
    schemaOf: (resource) =>
      REVIEW_RESOURCES.includes(resource)
        ? REVIEW_SCHEMA
        : cluster.resourceDetails(resource.group, resource.version, resource.resource).openApiSchema,
  };
  if (path === "v2")
    return sendJson(
      exchange,
      surface.document("/openapi/v2", () => openApiV2(source, resources)),
    );
  const ofGroupVersion = (found: ReturnType<typeof openApiGroupVersions>[number]): TaggedText =>
    surface.document(`/openapi/v3/${found.path}`, () => openApiV3(source, resources, found.group, found.version));
  if (path === "v3") {
    const index = surface.document("/openapi/v3", () => {
      const paths: Record<string, JsonObject> = {};
      for (const each of openApiGroupVersions(resources)) {
        const hash = ofGroupVersion(each).etag.replaceAll('"', "");
        paths[each.path] = { serverRelativeURL: `/openapi/v3/${each.path}?hash=${hash}` };
      }
      return { paths };
    });
    return sendJson(exchange, index);
  }
  const found = openApiGroupVersions(resources).find((each) => `v3/${each.path}` === path);
  return found !== undefined && sendJson(exchange, ofGroupVersion(found));
}

/** These documents exist as JSON only; a client that insists on protobuf gets 406 and falls back. */
function sendJson(exchange: Exchange, document: TaggedText): true {
  negotiateDocument(exchange.header("accept"), JSON_OFFER);
  exchange.sendTagged(document);
  return true;
}

function rootPaths(resources: readonly DiscoveredResource[]): string[] {
  const groups = resources.flatMap(({ group, version }) =>
    group === "" ? [`/api/${version}`] : [`/apis/${group}`, `/apis/${group}/${version}`],
  );
  return [
    ...new Set(["/api", "/apis", ...groups, ...HEALTH, "/metrics", "/openapi/v2", "/openapi/v3", "/version"]),
  ].sort();
}

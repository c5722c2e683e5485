import type { JsonObject } from "../../../base/json.ts";
import { SchemaNode } from "../schema/schema-node.ts";
import type { BuiltinKind } from "./builtin-kind.ts";
import { CLUSTER_KINDS } from "./cluster-kinds.ts";
import { CORE_KINDS } from "./core-kinds.ts";
import { collectionId, type ScalePaths, type ServedResource } from "./served-resource.ts";
import { withMetadata } from "./shapes/shape.ts";
import { WORKLOAD_KINDS } from "./workload-kinds.ts";

/** Verbs of every resource that is stored. */
export const VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"] as const;

const SCALE: ScalePaths = {
  specReplicas: ["spec", "replicas"],
  statusReplicas: ["status", "replicas"],
  labelSelector: ["status", "selector"],
};

/** OpenAPI form of a built-in kind: its members are not enumerated, so clients must keep what they do not know. */
const OPEN_API: JsonObject = { type: "object", "x-kubernetes-preserve-unknown-fields": true };

function served(row: BuiltinKind): ServedResource {
  const group = row.group ?? "";
  const status = row.status === true;
  const scale = row.scale === true ? SCALE : undefined;
  return {
    group,
    version: row.version ?? "v1",
    resource: row.resource,
    kind: row.kind,
    namespaced: row.scope !== "Cluster",
    singular: row.kind.toLowerCase(),
    shortNames: row.short ?? [],
    categories: row.categories ?? [],
    verbs: VERBS,
    subresources: [
      ...(status ? ["status"] : []),
      ...(scale ? ["scale"] : []),
      ...(row.finalize === true ? ["finalize"] : []),
    ],
    collection: collectionId(group, row.resource),
    storageVersion: row.version ?? "v1",
    nameRule: row.names ?? "subdomain",
    statusSubresource: status,
    scale,
    generation: row.generation === true ? "all" : "none",
    selectableFields: new Set(row.fields),
    printerColumns: [],
    schema: new SchemaNode(withMetadata(row.shape ?? OPEN_API)),
    openApiSchema: OPEN_API,
    custom: false,
    prunes: false,
    initialStatus: row.initialStatus,
    rules: row.rules ?? {},
    terminating: false,
  };
}

/** The built-in kinds, freshly built: their schema nodes are caches of one cluster. */
export function builtinResources(): readonly ServedResource[] {
  return [...CORE_KINDS, ...WORKLOAD_KINDS, ...CLUSTER_KINDS].map(served);
}

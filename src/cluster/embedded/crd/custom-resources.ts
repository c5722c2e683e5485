import type { CrdVersion, CustomResourceDefinitionObject } from "../../../api/builtin.ts";
import type { JsonObject } from "../../../base/json.ts";
import { VERBS } from "../resources/builtin-table.ts";
import { collectionId, type ScalePaths, type ServedResource } from "../resources/served-resource.ts";
import { withMetadata } from "../resources/shapes/shape.ts";
import { SchemaNode } from "../schema/schema-node.ts";
import { compareVersions } from "./version-order.ts";

/** What a CRD without a schema for a version would mean; the API server of today refuses it. */
const OPEN: JsonObject = { type: "object", "x-kubernetes-preserve-unknown-fields": true };

/** `.spec.replicas` as member names. */
function simplePath(path: string): readonly string[] {
  return path.split(".").filter((part) => part !== "");
}

function scaleOf(version: CrdVersion): ScalePaths | undefined {
  const scale = version.subresources?.scale;
  if (!scale) return undefined;
  return {
    specReplicas: simplePath(scale.specReplicasPath),
    statusReplicas: simplePath(scale.statusReplicasPath),
    labelSelector: scale.labelSelectorPath === undefined ? undefined : simplePath(scale.labelSelectorPath),
  };
}

/** True when the CRD's names were accepted at least once: its kinds are served. */
export function isEstablished(crd: CustomResourceDefinitionObject): boolean {
  return crd.status?.conditions?.some((c) => c.type === "Established" && c.status === "True") ?? false;
}

/** What an established CRD makes the cluster serve, preferred version first. Schemas are read when first used. */
export function customResources(crd: CustomResourceDefinitionObject): readonly ServedResource[] {
  if (!isEstablished(crd)) return [];
  const { group, scope, versions } = crd.spec;
  const names = crd.status?.acceptedNames ?? crd.spec.names;
  const storage = versions.find((version) => version.storage)?.name ?? "";
  const terminating = crd.metadata.deletionTimestamp !== undefined;
  return versions
    .filter((version) => version.served)
    .toSorted((a, b) => compareVersions(a.name, b.name))
    .map((version) => {
      const scale = scaleOf(version);
      const status = version.subresources?.status !== undefined;
      const openApiSchema = withMetadata(version.schema?.openAPIV3Schema ?? OPEN);
      return {
        group,
        version: version.name,
        resource: names.plural,
        kind: names.kind,
        namespaced: scope === "Namespaced",
        singular: names.singular ?? names.kind.toLowerCase(),
        shortNames: names.shortNames ?? [],
        categories: names.categories ?? [],
        verbs: VERBS,
        subresources: [...(status ? ["status"] : []), ...(scale ? ["scale"] : [])],
        collection: collectionId(group, names.plural),
        storageVersion: storage,
        nameRule: "subdomain",
        statusSubresource: status,
        scale,
        generation: "all",
        selectableFields: new Set(
          (version.selectableFields ?? []).map((field) => simplePath(field.jsonPath).join(".")),
        ),
        printerColumns: version.additionalPrinterColumns ?? [],
        schema: new SchemaNode(openApiSchema),
        openApiSchema,
        custom: true,
        prunes: crd.spec.preserveUnknownFields !== true,
        initialStatus: undefined,
        rules: {},
        terminating,
      } satisfies ServedResource;
    });
}

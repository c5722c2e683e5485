import { apiVersionOf } from "../../api/resource-type.ts";
import type { JsonObject } from "../../base/json.ts";
import type { DiscoveredResource } from "../cluster.ts";

/** Subresources that are not the object itself, or not to be written: their kind, when it is another one, and verbs. */
const SUBRESOURCES: Readonly<Record<string, SubresourceForm>> = {
  scale: { kind: { group: "autoscaling", version: "v1", kind: "Scale" }, verbs: ["get", "patch", "update"] },
  log: { kind: undefined, verbs: ["get"] },
  finalize: { kind: undefined, verbs: ["update"] },
  token: { kind: { group: "authentication.k8s.io", version: "v1", kind: "TokenRequest" }, verbs: ["create"] },
};
const USUAL: SubresourceForm = { kind: undefined, verbs: ["get", "patch", "update"] };

interface SubresourceForm {
  readonly kind: { readonly group: string; readonly version: string; readonly kind: string } | undefined;
  readonly verbs: readonly string[];
}

function subresourceForm(subresource: string): SubresourceForm {
  return SUBRESOURCES[subresource] ?? USUAL;
}

/** Media type parameters of the aggregated form. */
export const AGGREGATED = { g: "apidiscovery.k8s.io", as: "APIGroupDiscoveryList" } as const;

interface GroupVersions {
  readonly group: string;
  /** Preferred first. */
  readonly versions: ReadonlyMap<string, readonly DiscoveredResource[]>;
}

/** Groups with their versions and resources, in the order in which the cluster lists them. */
function groupsOf(resources: readonly DiscoveredResource[]): readonly GroupVersions[] {
  const groups = new Map<string, Map<string, DiscoveredResource[]>>();
  for (const resource of resources) {
    let versions = groups.get(resource.group);
    if (versions === undefined) groups.set(resource.group, (versions = new Map()));
    const list = versions.get(resource.version);
    if (list === undefined) versions.set(resource.version, [resource]);
    else list.push(resource);
  }
  for (const versions of groups.values())
    for (const list of versions.values()) list.sort((a, b) => (a.resource < b.resource ? -1 : 1));
  return [...groups].map(([group, versions]) => ({ group, versions }));
}

/** `APIGroupDiscoveryList` of the core group (`/api`) or of all others (`/apis`). */
export function aggregatedDiscovery(
  resources: readonly DiscoveredResource[],
  core: boolean,
  version: "v2" | "v2beta1",
): JsonObject {
  return {
    kind: "APIGroupDiscoveryList",
    apiVersion: `apidiscovery.k8s.io/${version}`,
    metadata: {},
    items: groupsOf(resources.filter((resource) => (resource.group === "") === core)).map(({ group, versions }) => ({
      metadata: group === "" ? {} : { name: group },
      versions: [...versions].map(([name, list]) => ({
        version: name,
        freshness: "Current",
        resources: list.map(aggregatedResource),
      })),
    })),
  };
}

function aggregatedResource(resource: DiscoveredResource): JsonObject {
  const { group, version, kind, shortNames, categories, subresources } = resource;
  return {
    resource: resource.resource,
    responseKind: { group, version, kind },
    scope: resource.namespaced ? "Namespaced" : "Cluster",
    singularResource: resource.singular,
    verbs: [...resource.verbs],
    ...(shortNames.length > 0 ? { shortNames: [...shortNames] } : {}),
    ...(categories.length > 0 ? { categories: [...categories] } : {}),
    ...(subresources.length > 0
      ? {
          subresources: subresources.map((subresource) => ({
            subresource,
            responseKind: subresourceForm(subresource).kind ?? { group, version, kind },
            verbs: [...subresourceForm(subresource).verbs],
          })),
        }
      : {}),
  };
}

/** `APIVersions`, the legacy document of `/api`. */
export function coreVersions(resources: readonly DiscoveredResource[], serverAddress: string): JsonObject {
  const core = groupsOf(resources).find(({ group }) => group === "");
  return {
    kind: "APIVersions",
    versions: core === undefined ? [] : [...core.versions.keys()],
    serverAddressByClientCIDRs: [{ clientCIDR: "0.0.0.0/0", serverAddress }],
  };
}

/** `APIGroupList`, the legacy document of `/apis`. */
export function groupList(resources: readonly DiscoveredResource[]): JsonObject {
  return {
    kind: "APIGroupList",
    apiVersion: "v1",
    groups: groupsOf(resources)
      .filter(({ group }) => group !== "")
      .map(groupEntry),
  };
}

/** `APIGroup` of `/apis/{group}`; undefined when it is not served. */
export function groupDocument(resources: readonly DiscoveredResource[], group: string): JsonObject | undefined {
  const found = groupsOf(resources).find((each) => each.group === group);
  return found === undefined ? undefined : { kind: "APIGroup", apiVersion: "v1", ...groupEntry(found) };
}

function groupEntry({ group, versions }: GroupVersions): JsonObject {
  const entries = [...versions.keys()].map((version) => ({ groupVersion: apiVersionOf({ group, version }), version }));
  return { name: group, versions: entries, preferredVersion: entries[0] };
}

/** `APIResourceList` of a group version; undefined when it is not served. */
export function resourceList(
  resources: readonly DiscoveredResource[],
  group: string,
  version: string,
): JsonObject | undefined {
  const list = groupsOf(resources)
    .find((each) => each.group === group)
    ?.versions.get(version);
  if (list === undefined) return undefined;
  return {
    kind: "APIResourceList",
    apiVersion: "v1",
    groupVersion: apiVersionOf({ group, version }),
    resources: list.flatMap(resourceEntries),
  };
}

function resourceEntries(resource: DiscoveredResource): readonly JsonObject[] {
  const { kind, namespaced, shortNames, categories } = resource;
  return [
    {
      name: resource.resource,
      singularName: resource.singular,
      namespaced,
      kind,
      verbs: [...resource.verbs],
      ...(shortNames.length > 0 ? { shortNames: [...shortNames] } : {}),
      ...(categories.length > 0 ? { categories: [...categories] } : {}),
    },
    ...resource.subresources.map((subresource) => ({
      name: `${resource.resource}/${subresource}`,
      singularName: "",
      namespaced,
      ...(subresourceForm(subresource).kind ?? { kind }),
      verbs: [...subresourceForm(subresource).verbs],
    })),
  ];
}

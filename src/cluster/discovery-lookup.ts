import type { DiscoveredResource, Discovery } from "./cluster.ts";

/**
 * Lookups over a list of served resources. The list is in the server's order: the preferred version of a group stands first, and that
 * is what a lookup falls back to when the version that was asked for is empty or not served.
 */
export function discoveryOf(resources: readonly DiscoveredResource[]): Discovery {
  const byKind = new Map<string, DiscoveredResource>();
  const byResource = new Map<string, DiscoveredResource>();
  const add = (map: Map<string, DiscoveredResource>, key: string, resource: DiscoveredResource): void => {
    if (!map.has(key)) map.set(key, resource);
  };
  for (const resource of resources) {
    add(byKind, `${resource.group}/${resource.version}/${resource.kind}`, resource);
    add(byKind, `${resource.group}//${resource.kind}`, resource);
    add(byResource, `${resource.group}/${resource.version}/${resource.resource}`, resource);
    add(byResource, `${resource.group}//${resource.resource}`, resource);
  }
  return {
    resources,
    byKind: (group, version, kind) => byKind.get(`${group}/${version}/${kind}`) ?? byKind.get(`${group}//${kind}`),
    byResource: (group, version, resource) =>
      byResource.get(`${group}/${version}/${resource}`) ?? byResource.get(`${group}//${resource}`),
  };
}

import type { Unstructured } from "../../api/object.ts";
import { groupResource } from "../../api/resource-type.ts";
import { isStatus } from "../../cluster/api-status-error.ts";
import type { ApplyParts } from "./pack-application.ts";

/** Objects looked at per resource: the first that counts ends the search. */
const LOOK_AT = 50;

/** What every namespace has by itself. */
const BUILT_IN = new Set(["configmaps/kube-root-ca.crt", "serviceaccounts/default"]);
/** Records about other objects, which go with the namespace. */
const RECORDS = new Set(["events", "events.events.k8s.io", "endpoints", "endpointslices.discovery.k8s.io"]);

/**
 * Names something in a namespace that its deletion would destroy; undefined when nothing is left but what the cluster put there itself
 * or what follows an owner that is gone.
 */
export async function namespaceContent(parts: ApplyParts, namespace: string): Promise<string | undefined> {
  const { resources } = await parts.cluster.discover();
  for (const type of resources) {
    const resource = groupResource(type);
    if (!type.namespaced || !type.verbs.includes("list") || RECORDS.has(resource)) continue;
    try {
      const { items } = await parts.cluster.list(type, { namespace, limit: LOOK_AT });
      const found = items.find((item) => counts(item, resource));
      if (found) return `${resource}/${found.metadata.name}`;
    } catch (error) {
      // A resource that is not served any more, or that may not be listed as such, holds nothing that could be named.
      if (!isStatus(error, "NotFound", "MethodNotAllowed")) throw error;
    }
  }
  return undefined;
}

function counts(object: Unstructured, resource: string): boolean {
  if (BUILT_IN.has(`${resource}/${object.metadata.name}`)) return false;
  if (object.metadata.deletionTimestamp !== undefined) return false;
  return (object.metadata.ownerReferences ?? []).length === 0;
}

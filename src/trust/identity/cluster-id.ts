/** Longest cluster id, so that `seam-tenant-{cluster}` and derived names stay within 63 characters. */
export const MAX_CLUSTER_ID_LENGTH = 40;

const LABEL = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/;

/** What is wrong with a cluster id, or undefined when it is a DNS-1123 label of at most 40 characters. */
export function clusterIdFault(id: string): string | undefined {
  if (id.length > MAX_CLUSTER_ID_LENGTH) return `at most ${MAX_CLUSTER_ID_LENGTH} characters, found ${id.length}`;
  if (!LABEL.test(id))
    return `a DNS-1123 label (lower-case letters, digits and inner hyphens), found ${JSON.stringify(id)}`;
  return undefined;
}

/** True for a well-formed cluster id. */
export function isClusterId(id: string): boolean {
  return clusterIdFault(id) === undefined;
}

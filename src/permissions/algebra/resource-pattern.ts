/** Subresource of a resource entry, split at the first slash; empty when it has none. */
function subresourceOf(entry: string): string {
  const slash = entry.indexOf("/");
  return slash < 0 ? "" : entry.slice(slash + 1);
}

/** True when every resource that `inner` matches is matched by `outer`: `*`, equal, or `r/s` under `*` + `/s` (permissions §6.2). */
export function resourceCovers(outer: string, inner: string): boolean {
  if (outer === "*" || outer === inner) return true;
  return outer.length > 2 && outer.startsWith("*/") && subresourceOf(inner) === outer.slice(2);
}

/** What both entries match; undefined when they are disjoint (permissions §6.1). */
export function intersectResources(a: string, b: string): string | undefined {
  if (resourceCovers(a, b)) return b;
  return resourceCovers(b, a) ? a : undefined;
}

import { urlPrefix } from "../../api/rbac/match.ts";

/** A nonResourceURLs entry in the terms of the algebra: one path, or every path with a prefix (permissions §6.1). */
interface UrlPattern {
  readonly kind: "exact" | "prefix";
  readonly text: string;
}

function urlPattern(entry: string): UrlPattern {
  return entry.endsWith("*") ? { kind: "prefix", text: urlPrefix(entry) } : { kind: "exact", text: entry };
}

/** True when every path that `inner` matches is matched by `outer`. */
export function urlCovers(outer: string, inner: string): boolean {
  if (outer === inner || outer === "*") return true;
  const a = urlPattern(outer);
  const b = urlPattern(inner);
  return a.kind === "prefix" ? b.text.startsWith(a.text) : b.kind === "exact" && a.text === b.text;
}

/** The paths that both entries match: the narrower of two nested entries; undefined when they are disjoint. */
export function intersectUrls(a: string, b: string): string | undefined {
  if (urlCovers(a, b)) return b;
  return urlCovers(b, a) ? a : undefined;
}

/** An entry in its shortest spelling: one trailing star where there are several. */
export function normalUrl(entry: string): string {
  return entry.endsWith("*") ? `${urlPrefix(entry)}*` : entry;
}

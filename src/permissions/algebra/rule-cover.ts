import type { Rule } from "../rules/rule.ts";
import { resourceCovers } from "./resource-pattern.ts";
import { speaksOfResources, speaksOfUrls } from "./rule-half.ts";
import { urlCovers } from "./url-pattern.ts";

/** `*` or every entry of `inner`. */
export function listCovers(outer: readonly string[], inner: readonly string[]): boolean {
  return outer.includes("*") || inner.every((entry) => outer.includes(entry));
}

/** No names are every name, so only no names cover them; otherwise a superset. */
export function namesCover(outer: readonly string[], inner: readonly string[]): boolean {
  return outer.length === 0 || (inner.length > 0 && inner.every((name) => outer.includes(name)));
}

/** True when the single rule `outer` allows everything that `inner` allows (permissions §6.3). */
export function ruleCovers(outer: Rule, inner: Rule): boolean {
  if (inner.verbs.length > 0 && !listCovers(outer.verbs, inner.verbs)) return false;
  if (speaksOfResources(inner)) {
    if (!listCovers(outer.apiGroups, inner.apiGroups)) return false;
    if (!namesCover(outer.resourceNames, inner.resourceNames)) return false;
    if (!inner.resources.every((entry) => outer.resources.some((wide) => resourceCovers(wide, entry)))) return false;
  }
  if (!speaksOfUrls(inner)) return true;
  return inner.nonResourceURLs.every((entry) => outer.nonResourceURLs.some((wide) => urlCovers(wide, entry)));
}

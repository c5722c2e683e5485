import type { Rule } from "./rule.ts";

/** Match predicates, identical to the RBAC authorizer of Kubernetes (permissions §5.3). */

/** `resource` or `resource/subresource`: what rules are compared with (permissions §5.3). */
export function combinedResource(resource: string, subresource: string): string {
  return subresource === "" ? resource : `${resource}/${subresource}`;
}

/** Some rule verb is `*` or equals the request verb; a request verb `*` is a literal. */
export function verbMatches(rule: Rule, verb: string): boolean {
  return rule.verbs.includes("*") || rule.verbs.includes(verb);
}

/** Some entry is `*` or equal; an empty list matches nothing. */
export function groupMatches(rule: Rule, apiGroup: string): boolean {
  return rule.apiGroups.includes("*") || rule.apiGroups.includes(apiGroup);
}

/** Some entry is `*`, equals `resource[/subresource]`, or equals `*` + `/subresource`. */
export function resourceMatches(rule: Rule, resource: string, subresource: string): boolean {
  const combined = combinedResource(resource, subresource);
  for (const entry of rule.resources) {
    if (entry === "*" || entry === combined) return true;
    if (subresource !== "" && entry.length === subresource.length + 2 && entry === `*/${subresource}`) return true;
  }
  return false;
}

/** No names, or one of them equals the request's; an empty request name satisfies no list. */
export function nameMatches(rule: Rule, name: string): boolean {
  return rule.resourceNames.length === 0 || (name !== "" && rule.resourceNames.includes(name));
}

/** Some entry is `*`, equals the path, or ends in `*` and the path starts with the entry without all its trailing stars. */
export function pathMatches(rule: Rule, path: string): boolean {
  for (const entry of rule.nonResourceURLs) {
    if (entry === "*" || entry === path) return true;
    if (entry.endsWith("*") && path.startsWith(urlPrefix(entry))) return true;
  }
  return false;
}

/** An entry without its trailing stars. */
export function urlPrefix(entry: string): string {
  let end = entry.length;
  while (end > 0 && entry.charCodeAt(end - 1) === STAR) end--;
  return entry.slice(0, end);
}

const STAR = 0x2a;

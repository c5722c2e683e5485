import type { Rule } from "../rules/rule.ts";

/** True when a rule can allow some resource request. */
export function speaksOfResources(rule: Rule): boolean {
  return rule.verbs.length > 0 && rule.apiGroups.length > 0 && rule.resources.length > 0;
}

/** True when a rule can allow some non-resource request. */
export function speaksOfUrls(rule: Rule): boolean {
  return rule.verbs.length > 0 && rule.nonResourceURLs.length > 0;
}

/** The resource half of a rule; a mixed rule is evaluated as if its halves stood alone (permissions §5.7). */
export function resourceHalf(rule: Rule): Rule | undefined {
  if (!speaksOfResources(rule)) return undefined;
  return rule.nonResourceURLs.length === 0 ? rule : { ...rule, nonResourceURLs: [] };
}

/** The URL half of a rule. */
export function urlHalf(rule: Rule): Rule | undefined {
  if (!speaksOfUrls(rule)) return undefined;
  const { verbs, nonResourceURLs } = rule;
  return { verbs, apiGroups: [], resources: [], resourceNames: [], nonResourceURLs };
}

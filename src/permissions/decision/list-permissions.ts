import { canonicalJson } from "../../base/canonical-json.ts";
import { type Rule, ruleToJson } from "../rules/rule.ts";
import type { Grant, PermissionIndex } from "../index/permission-index.ts";
import { bindingSortKey, subjectSortKey } from "../snapshot/content.ts";
import type { GrantedRule } from "./explain.ts";
import { type PrincipalContext, inForce } from "./principal-context.ts";

/**
 * Every rule in force for a principal, sorted by content: the same order for the same snapshot.
 *
 * @param namespace only rules that may speak about requests in it; empty means all
 * @param nowMs wall clock, Unix milliseconds
 */
export function listPermissions(
  index: PermissionIndex,
  principal: PrincipalContext,
  namespace: string,
  nowMs: number,
): readonly GrantedRule[] {
  const found: { readonly key: string; readonly entry: GrantedRule }[] = [];
  for (const grant of index.grants(principal.user, principal.groups)) {
    const { binding } = grant;
    if (!inForce(binding.expiresAt, nowMs)) continue;
    if (namespace !== "" && binding.namespaces.length > 0 && !binding.namespaces.includes(namespace)) continue;
    for (const rule of grant.ruleSet.rules) found.push({ key: sortKey(rule, grant), entry: { grant, rule } });
  }
  return found.sort((a, b) => (a.key < b.key ? -1 : 1)).map(({ entry }) => entry);
}

function sortKey(rule: Rule, grant: Grant): string {
  return `${canonicalJson(ruleToJson(rule))}\0${subjectSortKey(grant.subject)}\0${bindingSortKey(grant.binding)}`;
}

import { canonicalJson } from "../../base/canonical-json.ts";
import { atOnce } from "../../base/next-turn.ts";
import { sortSteps } from "../../base/sort-steps.ts";
import { type Rule, ruleToJson } from "../rules/rule.ts";
import type { PermissionIndex } from "../index/permission-index.ts";
import { bindingSortKey, subjectSortKey } from "../snapshot/content.ts";
import type { GrantedRule } from "./explain.ts";
import { type PrincipalContext, inForce } from "./principal-context.ts";

/** Rules and bindings that are looked at between two turns. */
const SLICE = 512;

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
  return atOnce(listPermissionsSteps(index, principal, namespace, nowMs));
}

/** {@link listPermissions} in slices: yields where others may have their turn, so that a large answer holds up nobody. */
export function* listPermissionsSteps(
  index: PermissionIndex,
  principal: PrincipalContext,
  namespace: string,
  nowMs: number,
): Generator<void, readonly GrantedRule[]> {
  const found: { readonly key: string; readonly entry: GrantedRule }[] = [];
  /** Rules are shared by many bindings: each is written once. */
  const texts = new Map<Rule, string>();
  let work = 0;
  for (const grant of index.grants(principal.user, principal.groups)) {
    if (++work > SLICE) {
      work = 0;
      yield;
    }
    const { binding } = grant;
    if (!inForce(binding.expiresAt, nowMs)) continue;
    if (namespace !== "" && binding.namespaces.length > 0 && !binding.namespaces.includes(namespace)) continue;
    const place = `\0${subjectSortKey(grant.subject)}\0${bindingSortKey(binding)}`;
    for (const rule of grant.ruleSet.rules) {
      let text = texts.get(rule);
      if (text === undefined) {
        text = canonicalJson(ruleToJson(rule));
        texts.set(rule, text);
      }
      found.push({ key: `${text}${place}`, entry: { grant, rule } });
      if (++work > SLICE) {
        work = 0;
        yield;
      }
    }
  }
  const sorted = yield* sortSteps(found);
  return sorted.map(({ entry }) => entry);
}

import type { AccessRequest } from "../rules/access-request.ts";
import { ruleAllows } from "../rules/match.ts";
import { type SubjectName, principalRefOf } from "../rules/principal.ts";
import { scopeAdmits } from "../rules/scope.ts";
import type { RuleSet, SnapshotBinding } from "../snapshot/content.ts";
import { MAX_NEAR_MISSES, type NearMiss } from "./explain.ts";
import { type PrincipalContext, inForce } from "./principal-context.ts";

/** A ceiling by name. */
export interface NamedCeiling {
  /** `{namespace}/{name}` of its PermissionSet. */
  readonly name: string;
  readonly rules: RuleSet["rules"];
}

/** A grant as a provisioned profile declares it, before its ceilings: known to the management side alone. */
export interface DeclaredGrant {
  readonly subjects: readonly SubjectName[];
  readonly principalRef: string;
  /** Its ruleSet is that of the declared rules. */
  readonly binding: SnapshotBinding;
  readonly declared: RuleSet;
  /** Every ceiling over it. */
  readonly ceilings: readonly NamedCeiling[];
}

/**
 * Rules that would allow a request if their ceilings let them (permissions §11.2, TRIMMED_BY_CEILING), with the ceilings that do not. What
 * is granted is exactly what the declared rules and all ceilings allow, so for a denied request there is one at least.
 */
export function trimmedGrants(
  declared: Iterable<DeclaredGrant>,
  principal: PrincipalContext,
  request: AccessRequest,
  nowMs: number,
): readonly NearMiss[] {
  const misses: NearMiss[] = [];
  const groups = new Set(principal.groups);
  for (const { subjects, principalRef, binding, declared: ruleSet, ceilings } of declared) {
    const subject = subjects.find((each) =>
      each.kind === "Group" ? groups.has(each.name) : principalRefOf(each) === principal.user,
    );
    if (subject === undefined || !scopeAdmits(binding, request) || !inForce(binding.expiresAt, nowMs)) continue;
    const rule = ruleSet.rules.find((each) => ruleAllows(each, request));
    if (rule === undefined) continue;
    const over = ceilings.filter(({ rules }) => !rules.some((each) => ruleAllows(each, request)));
    if (over.length === 0) continue;
    misses.push({
      grant: { subject: { ...subject, principalRef, bindings: [binding] }, binding, ruleSet },
      rule,
      failed: ["TRIMMED_BY_CEILING"],
      detail: `not covered by PermissionSet ${over.map(({ name }) => name).join(" and ")}`,
    });
    if (misses.length === MAX_NEAR_MISSES) break;
  }
  return misses;
}

import { groupMatches, resourceMatches, verbMatches } from "../../api/rbac/match.ts";
import type { Scope } from "../rules/scope.ts";
import type { PermissionIndex } from "../index/permission-index.ts";
import { type PrincipalContext, inForce } from "./principal-context.ts";

/** Where access is given: both parts must hold. */
export interface AccessCondition {
  readonly scope: Scope;
  /** With `namespaced`: one of these, or any when empty. */
  readonly namespaces: readonly string[];
  /** One of these; any, and none, when empty. */
  readonly names: readonly string[];
}

/** Reduced partial evaluation over namespaces and names (permissions §11.2). */
export type AccessPlan =
  | { readonly plan: "ALWAYS_ALLOWED" | "ALWAYS_DENIED" }
  | { readonly plan: "CONDITIONAL"; readonly conditions: readonly AccessCondition[] };

/** What is planned. */
export interface PlanQuestion {
  readonly verb: string;
  readonly apiGroup: string;
  readonly resource: string;
  readonly subresource: string;
}

/** Plans access: for every namespace and name, a check is allowed exactly where the plan says so. `nowMs` is wall time. */
export function planAccess(
  index: PermissionIndex,
  principal: PrincipalContext,
  question: PlanQuestion,
  nowMs: number,
): AccessPlan {
  if (index.isSuspended(principal.user)) return { plan: "ALWAYS_DENIED" };
  const conditions: AccessCondition[] = [];
  for (const { binding, ruleSet } of index.grants(principal.user, principal.groups)) {
    if (!inForce(binding.expiresAt, nowMs)) continue;
    for (const rule of ruleSet.rules) {
      if (
        !verbMatches(rule, question.verb) ||
        !groupMatches(rule, question.apiGroup) ||
        !resourceMatches(rule, question.resource, question.subresource)
      )
        continue;
      addCondition(conditions, { scope: binding.scope, namespaces: binding.namespaces, names: rule.resourceNames });
    }
  }
  if (conditions.length === 0) return { plan: "ALWAYS_DENIED" };
  if (conditions.some(({ scope, names }) => scope === "cluster" && names.length === 0))
    return { plan: "ALWAYS_ALLOWED" };
  return { plan: "CONDITIONAL", conditions };
}

function addCondition(conditions: AccessCondition[], added: AccessCondition): void {
  if (conditions.some((held) => covers(held, added))) return;
  const kept = conditions.filter((held) => !covers(added, held));
  conditions.splice(0, conditions.length, ...kept, added);
}

function covers(wide: AccessCondition, narrow: AccessCondition): boolean {
  return (
    (wide.scope === "cluster" ||
      (narrow.scope === "namespaced" && (wide.namespaces.length === 0 || holds(wide.namespaces, narrow.namespaces)))) &&
    (wide.names.length === 0 || holds(wide.names, narrow.names))
  );
}

/** True when `wide` holds all of a non-empty `narrow`; an empty `narrow` stands for "any". */
function holds(wide: readonly string[], narrow: readonly string[]): boolean {
  return narrow.length > 0 && narrow.every((entry) => wide.includes(entry));
}

import { groupMatches, resourceMatches, verbMatches } from "../../api/rbac/match.ts";
import { atOnce } from "../../base/next-turn.ts";
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

/** Bindings, rules and comparisons of names between two turns. */
const SLICE = 20_000;

/** Plans access: for every namespace and name, a check is allowed exactly where the plan says so. `nowMs` is wall time. */
export function planAccess(
  index: PermissionIndex,
  principal: PrincipalContext,
  question: PlanQuestion,
  nowMs: number,
): AccessPlan {
  return atOnce(planAccessSteps(index, principal, question, nowMs)).plan;
}

/** A plan and how long it holds. */
export interface PlannedAccess {
  readonly plan: AccessPlan;
  /** When the first of the grants that were looked at ends, Unix milliseconds; infinite when none does. */
  readonly endsAtMs: number;
}

/** {@link planAccess} in slices: yields where others may have their turn, so that a large answer holds up nobody. */
export function* planAccessSteps(
  index: PermissionIndex,
  principal: PrincipalContext,
  question: PlanQuestion,
  nowMs: number,
): Generator<void, PlannedAccess> {
  let endsAtMs = Number.POSITIVE_INFINITY;
  if (index.isSuspended(principal.user)) return { plan: { plan: "ALWAYS_DENIED" }, endsAtMs };
  let conditions: HeldCondition[] = [];
  let work = 0;
  for (const { binding, ruleSet } of index.grants(principal.user, principal.groups)) {
    work++;
    if (!inForce(binding.expiresAt, nowMs)) continue;
    if (binding.expiresAt !== "") endsAtMs = Math.min(endsAtMs, Date.parse(binding.expiresAt));
    for (const rule of ruleSet.rules) {
      work += 1 + rule.resources.length;
      if (work > SLICE) {
        work = 0;
        yield;
      }
      if (
        !verbMatches(rule, question.verb) ||
        !groupMatches(rule, question.apiGroup) ||
        !resourceMatches(rule, question.resource, question.subresource)
      )
        continue;
      const { scope, namespaces } = binding;
      const added: HeldCondition = {
        condition: { scope, namespaces, names: rule.resourceNames },
        namespaces: new Set(namespaces),
        names: new Set(rule.resourceNames),
      };
      const kept: HeldCondition[] = [];
      let known = false;
      for (const held of conditions) {
        work += held.names.size + held.namespaces.size + added.names.size + added.namespaces.size;
        if (work > SLICE) {
          work = 0;
          yield;
        }
        known = covers(held, added);
        if (known) break;
        if (!covers(added, held)) kept.push(held);
      }
      if (known) continue;
      kept.push(added);
      conditions = kept;
    }
  }
  if (conditions.length === 0) return { plan: { plan: "ALWAYS_DENIED" }, endsAtMs };
  if (conditions.some(({ condition: { scope, names } }) => scope === "cluster" && names.length === 0))
    return { plan: { plan: "ALWAYS_ALLOWED" }, endsAtMs };
  return { plan: { plan: "CONDITIONAL", conditions: conditions.map(({ condition }) => condition) }, endsAtMs };
}

/** A condition with its lists as sets: each is compared with every other. */
interface HeldCondition {
  readonly condition: AccessCondition;
  readonly namespaces: ReadonlySet<string>;
  readonly names: ReadonlySet<string>;
}

function covers(wide: HeldCondition, narrow: HeldCondition): boolean {
  return (
    (wide.condition.scope === "cluster" ||
      (narrow.condition.scope === "namespaced" &&
        (wide.namespaces.size === 0 || holds(wide.namespaces, narrow.namespaces)))) &&
    (wide.names.size === 0 || holds(wide.names, narrow.names))
  );
}

/** True when `wide` holds all of a non-empty `narrow`; an empty `narrow` stands for "any". */
function holds(wide: ReadonlySet<string>, narrow: ReadonlySet<string>): boolean {
  return narrow.size > 0 && narrow.isSubsetOf(wide);
}

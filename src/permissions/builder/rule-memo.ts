import type { PermissionSet } from "../../api/kinds/permission-set.ts";
import { RuleBudgetExceeded } from "../algebra/budget.ts";
import { canonicalRules, ruleSetId } from "../algebra/canonical.ts";
import { intersectRules } from "../algebra/intersect.ts";
import type { Rule, RuleInput } from "../rules/rule.ts";
import type { RuleSet } from "../snapshot/content.ts";

/** Most remembered intersections; beyond it the memory starts anew. */
const MAX_REMEMBERED = 50_000;

/**
 * Rule sets by content, and what they have in common: a fleet has tens of distinct sets and ceilings, so nearly every declaration is
 * trimmed from memory (permissions §8.2 step 2). Results depend on content alone, so a memory may outlive the objects.
 */
export class RuleMemo {
  readonly #sets = new WeakMap<PermissionSet, RuleSet>();
  readonly #intersections = new Map<string, RuleSet | RuleBudgetExceeded>();

  /** The rules of a PermissionSet, canonical. */
  ofSet(set: PermissionSet): RuleSet {
    let found = this.#sets.get(set);
    if (found === undefined) {
      found = ruleSetOf(canonicalRules(set.spec.permissions));
      this.#sets.set(set, found);
    }
    return found;
  }

  /** What both allow. @throws RuleBudgetExceeded the same for the same two sets */
  intersection(a: RuleSet, b: RuleSet): RuleSet {
    const key = a.id < b.id ? `${a.id}${b.id}` : `${b.id}${a.id}`;
    let found = this.#intersections.get(key);
    if (found === undefined) {
      found = intersect(a.rules, b.rules);
      if (this.#intersections.size >= MAX_REMEMBERED) this.#intersections.clear();
      this.#intersections.set(key, found);
    }
    if (found instanceof RuleBudgetExceeded) throw found;
    return found;
  }
}

function ruleSetOf(canonical: readonly Rule[]): RuleSet {
  return { id: ruleSetId(canonical), rules: canonical };
}

function intersect(a: readonly RuleInput[], b: readonly RuleInput[]): RuleSet | RuleBudgetExceeded {
  try {
    return ruleSetOf(intersectRules(a, b));
  } catch (error) {
    if (error instanceof RuleBudgetExceeded) return error;
    throw error;
  }
}

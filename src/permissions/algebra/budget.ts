import type { Rule } from "../rules/rule.ts";
import { MAX_ENTRIES_PER_RULE_SET, expandedEntries } from "../rules/rule-validation.ts";
import { MAX_RULES_PER_RULE_SET } from "../snapshot/limits.ts";

/** Bounds of what an operation may work on and give back (permissions §6.5). */
export interface RuleBudget {
  /** Rules of the result. */
  readonly rules: number;
  /** Expanded (group x resource x name) entries and paths of the result. */
  readonly entries: number;
  /** Rules and comparisons on the way to the result. */
  readonly steps: number;
}

/** What one profile may effectively have on one cluster. */
export const EFFECTIVE_RULE_BUDGET: RuleBudget = {
  rules: MAX_RULES_PER_RULE_SET,
  entries: MAX_ENTRIES_PER_RULE_SET,
  steps: 20_000_000,
};

/** A result would be larger than its budget. Nothing of it is used: a shortened list would be another list (permissions §6.5). */
export class RuleBudgetExceeded extends Error {
  override readonly name = "RuleBudgetExceeded";
  readonly what: keyof RuleBudget;
  readonly limit: number;

  constructor(what: keyof RuleBudget, limit: number) {
    super(`more than ${limit} effective ${what}`);
    this.what = what;
    this.limit = limit;
  }
}

/** Counts the work of one operation against its budget. */
export class BudgetMeter {
  readonly budget: RuleBudget;
  #steps = 0;

  constructor(budget: RuleBudget) {
    this.budget = budget;
  }

  /** @throws RuleBudgetExceeded `steps` */
  spend(steps: number): void {
    this.#steps += steps;
    if (this.#steps > this.budget.steps) throw new RuleBudgetExceeded("steps", this.budget.steps);
  }

  /** Passes a result on. @throws RuleBudgetExceeded `rules` or `entries` */
  admit(rules: readonly Rule[]): readonly Rule[] {
    const { rules: maxRules, entries: maxEntries } = this.budget;
    if (rules.length > maxRules) throw new RuleBudgetExceeded("rules", maxRules);
    const entries = rules.reduce((sum, rule) => sum + expandedEntries(rule) + rule.nonResourceURLs.length, 0);
    if (entries > maxEntries) throw new RuleBudgetExceeded("entries", maxEntries);
    return rules;
  }
}

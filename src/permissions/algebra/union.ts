import { type Rule, type RuleInput, ruleOf } from "../rules/rule.ts";
import { BudgetMeter, EFFECTIVE_RULE_BUDGET, type RuleBudget } from "./budget.ts";
import { canonicalRules } from "./canonical.ts";
import { resourceCovers } from "./resource-pattern.ts";
import { ruleCovers } from "./rule-cover.ts";
import { RuleIndex } from "./rule-index.ts";
import { resourceHalf, urlHalf } from "./rule-half.ts";
import { normalUrl, urlCovers } from "./url-pattern.ts";

function widest(list: readonly string[], covers: (outer: string, inner: string) => boolean): readonly string[] {
  const unique = [...new Set(list)];
  return unique.filter((entry) => !unique.some((other) => other !== entry && covers(other, entry)));
}

/** The rule without entries that another entry of the same list covers: equal results have equal text, whatever way they came. */
function normalRule(input: RuleInput): Rule {
  const rule = ruleOf(input);
  return {
    ...rule,
    resources: widest(rule.resources, resourceCovers),
    nonResourceURLs: widest(rule.nonResourceURLs.map(normalUrl), urlCovers),
  };
}

/**
 * Canonical rules without those that a single other rule covers. Rules are never merged: two rules with different names or verbs
 * stay two (permissions §6.3). Of two rules that say the same, the canonically first stays.
 */
export function reduceRules(rules: readonly RuleInput[], meter: BudgetMeter): readonly Rule[] {
  const halves = rules.map(normalRule).flatMap((rule) => [resourceHalf(rule), urlHalf(rule)]);
  const speaking = halves.filter((rule) => rule !== undefined);
  const kept = new RuleIndex();
  for (const rule of canonicalRules(speaking)) {
    meter.spend(kept.size + 1);
    if (kept.covers(rule)) continue;
    for (const other of kept.maybeMeeting(rule)) if (ruleCovers(rule, other)) kept.delete(other);
    kept.add(rule);
  }
  return kept.rules;
}

/**
 * Union of rule lists: allows a request exactly when one of the lists does (permissions §6.3). The result is canonical.
 *
 * @throws RuleBudgetExceeded
 */
export function unionRules(
  lists: readonly (readonly RuleInput[])[],
  budget: RuleBudget = EFFECTIVE_RULE_BUDGET,
): readonly Rule[] {
  const meter = new BudgetMeter(budget);
  return meter.admit(reduceRules(lists.flat(), meter));
}

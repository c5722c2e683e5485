import { RuleBudgetExceeded } from "../algebra/budget.ts";
import { MAX_UNCOVERED, covers, ruleText } from "../algebra/covers.ts";
import type { RuleInput } from "../rules/rule.ts";

/**
 * What `rules` allow beyond `ceiling`, in words, at most {@link MAX_UNCOVERED} entries; empty when nothing does. A comparison that
 * is over budget counts as excess: nobody knows that it lies inside (permissions §6.5).
 */
export function excessOver(ceiling: readonly RuleInput[], rules: readonly RuleInput[]): readonly string[] {
  try {
    const { uncovered, more } = covers(ceiling, rules);
    const texts = uncovered.map(ruleText);
    return more === 0 ? texts : [...texts.slice(0, MAX_UNCOVERED - 1), `and ${more + 1} more`];
  } catch (error) {
    if (!(error instanceof RuleBudgetExceeded)) throw error;
    return [`rules too large to compare (${error.message})`];
  }
}

import type { Rule, RuleInput } from "../rules/rule.ts";
import { BudgetMeter, EFFECTIVE_RULE_BUDGET, type RuleBudget } from "./budget.ts";
import { canonicalRule } from "./canonical.ts";
import { intersectResources } from "./resource-pattern.ts";
import { RuleIndex } from "./rule-index.ts";
import { resourceHalf, urlHalf } from "./rule-half.ts";
import { reduceRules } from "./union.ts";
import { intersectUrls } from "./url-pattern.ts";

function pairwise(
  a: readonly string[],
  b: readonly string[],
  intersect: (x: string, y: string) => string | undefined,
): readonly string[] {
  const found = new Set<string>();
  for (const x of a)
    for (const y of b) {
      const both = intersect(x, y);
      if (both !== undefined) found.add(both);
    }
  return [...found];
}

/** Verbs and groups: `*` with x is x, equal is itself. */
function intersectTokens(a: readonly string[], b: readonly string[]): readonly string[] {
  if (a.includes("*")) return b;
  return b.includes("*") ? a : a.filter((entry) => b.includes(entry));
}

/** Absent is every name. `undefined` when both name names and share none: then there is no rule, and never "every name". */
function intersectNames(a: readonly string[], b: readonly string[]): readonly string[] | undefined {
  if (a.length === 0) return b;
  if (b.length === 0) return a;
  const both = a.filter((name) => b.includes(name));
  return both.length === 0 ? undefined : both;
}

function intersectResourceHalves(a: Rule | undefined, b: Rule | undefined): Rule | undefined {
  if (a === undefined || b === undefined) return undefined;
  const resourceNames = intersectNames(a.resourceNames, b.resourceNames);
  if (resourceNames === undefined) return undefined;
  const verbs = intersectTokens(a.verbs, b.verbs);
  const apiGroups = intersectTokens(a.apiGroups, b.apiGroups);
  if (verbs.length === 0 || apiGroups.length === 0) return undefined;
  const resources = pairwise(a.resources, b.resources, intersectResources);
  return resources.length === 0 ? undefined : { verbs, apiGroups, resources, resourceNames, nonResourceURLs: [] };
}

function intersectUrlHalves(a: Rule | undefined, b: Rule | undefined): Rule | undefined {
  if (a === undefined || b === undefined) return undefined;
  const verbs = intersectTokens(a.verbs, b.verbs);
  if (verbs.length === 0) return undefined;
  const nonResourceURLs = pairwise(a.nonResourceURLs, b.nonResourceURLs, intersectUrls);
  if (nonResourceURLs.length === 0) return undefined;
  return { verbs, apiGroups: [], resources: [], resourceNames: [], nonResourceURLs };
}

/** What two rules both allow: at most a resource rule and a URL rule. Exact, since a rule is a product (permissions §6.1). */
export function intersectTwoRules(a: Rule, b: Rule): readonly Rule[] {
  const found: Rule[] = [];
  const resources = intersectResourceHalves(resourceHalf(a), resourceHalf(b));
  const urls = intersectUrlHalves(urlHalf(a), urlHalf(b));
  if (resources !== undefined) found.push(canonicalRule(resources));
  if (urls !== undefined) found.push(canonicalRule(urls));
  return found;
}

/**
 * Intersection of two rule lists: allows a request exactly when both do (permissions §6.1). The result is canonical.
 *
 * @throws RuleBudgetExceeded
 */
export function intersectRules(
  left: readonly RuleInput[],
  right: readonly RuleInput[],
  budget: RuleBudget = EFFECTIVE_RULE_BUDGET,
): readonly Rule[] {
  const meter = new BudgetMeter(budget);
  const b = reduceRules(right, meter);
  const others = new RuleIndex(b);
  const a = reduceRules(left, meter);
  // Under a ceiling that has room for all of it, a set stays as it is.
  if (a.every((rule) => others.covers(rule))) return meter.admit(a);
  const found: Rule[] = [];
  for (const rule of a) {
    for (const other of b) meter.spend(1 + rule.resources.length * other.resources.length + rule.resourceNames.length);
    // A rule under one rule of the other list stays as it is; its products with the rest are inside it.
    const own = others.covers(rule)
      ? [rule]
      : [...others.maybeMeeting(rule)].flatMap((other) => intersectTwoRules(rule, other));
    for (const product of own) found.push(product);
    // What is over budget halfway is refused, even where a later rule would have absorbed it.
    if (found.length > MAX_PRODUCTS_PER_RULE * budget.rules)
      for (const product of meter.admit(reduceRules(found.splice(0), meter))) found.push(product);
  }
  return meter.admit(reduceRules(found, meter));
}

/** How many products per rule of the budget are held before they are reduced. */
const MAX_PRODUCTS_PER_RULE = 4;

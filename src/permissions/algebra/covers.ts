import { type Rule, type RuleInput, ruleOf } from "../rules/rule.ts";
import { BudgetMeter, EFFECTIVE_RULE_BUDGET, type RuleBudget } from "./budget.ts";
import { canonicalRule } from "./canonical.ts";
import { resourceCovers } from "./resource-pattern.ts";
import { RuleIndex } from "./rule-index.ts";
import { resourceHalf, urlHalf } from "./rule-half.ts";
import { reduceRules } from "./union.ts";
import { urlCovers } from "./url-pattern.ts";

/** Most uncovered parts listed (permissions §6.2). */
export const MAX_UNCOVERED = 20;

/** Outcome of a cover test. */
export interface Coverage {
  readonly covered: boolean;
  /** Compacted parts of the servant that no owner rule covers, canonical, at most {@link MAX_UNCOVERED}. */
  readonly uncovered: readonly Rule[];
  /** Parts beyond those listed. */
  readonly more: number;
}

/** Atoms of one dimension with what still covers them; those without anything left are uncovered whole. */
type Split = (entry: string, owners: readonly Rule[]) => readonly Rule[];

const byVerb: Split = (verb, owners) => owners.filter(({ verbs }) => verbs.includes("*") || verbs.includes(verb));
const byGroup: Split = (group, owners) =>
  owners.filter(({ apiGroups }) => apiGroups.includes("*") || apiGroups.includes(group));
const byResource: Split = (resource, owners) =>
  owners.filter(({ resources }) => resources.some((wide) => resourceCovers(wide, resource)));
const byUrl: Split = (url, owners) =>
  owners.filter(({ nonResourceURLs }) => nonResourceURLs.some((wide) => urlCovers(wide, url)));

class CoverTest {
  readonly #owner: readonly Rule[];
  readonly #index: RuleIndex;
  readonly #meter: BudgetMeter;
  readonly found: Rule[] = [];

  constructor(owner: readonly Rule[], meter: BudgetMeter) {
    this.#owner = owner;
    this.#index = new RuleIndex(owner);
    this.#meter = meter;
  }

  test(rule: Rule): void {
    this.#meter.spend(this.#owner.length);
    if (this.#index.covers(rule)) return;
    const resources = resourceHalf(rule);
    if (resources !== undefined) this.#resources(resources);
    const urls = urlHalf(rule);
    if (urls !== undefined) this.#urls(urls);
  }

  /** Atoms of a resource rule, one dimension after the other, so that a whole branch is told as one part. */
  #resources(rule: Rule): void {
    this.#each(rule.verbs, this.#owner, byVerb, (verb, forVerb) => {
      const verbs = [verb];
      if (forVerb.length === 0) return this.#miss({ ...rule, verbs });
      return this.#each(rule.apiGroups, forVerb, byGroup, (group, forGroup) => {
        const apiGroups = [group];
        if (forGroup.length === 0) return this.#miss({ ...rule, verbs, apiGroups });
        return this.#each(rule.resources, forGroup, byResource, (resource, owners) => {
          const resourceNames = uncoveredNames(rule.resourceNames, owners);
          if (resourceNames !== undefined)
            this.#miss({ ...rule, verbs, apiGroups, resources: [resource], resourceNames });
        });
      });
    });
  }

  #urls(rule: Rule): void {
    this.#each(rule.verbs, this.#owner, byVerb, (verb, forVerb) =>
      this.#each(rule.nonResourceURLs, forVerb, byUrl, (url, owners) => {
        if (owners.length === 0) this.#miss({ ...rule, verbs: [verb], nonResourceURLs: [url] });
      }),
    );
  }

  #each(
    entries: readonly string[],
    owners: readonly Rule[],
    split: Split,
    next: (entry: string, owners: readonly Rule[]) => void,
  ): void {
    for (const entry of entries) {
      this.#meter.spend(owners.length + 1);
      next(entry, split(entry, owners));
    }
  }

  #miss(part: Rule): void {
    if (this.found.length >= this.#meter.budget.rules) this.found.splice(0, this.found.length, ...compact(this.found));
    // Compacted and still too many: the count stays a lower bound, the outcome is what it is.
    if (this.found.length < this.#meter.budget.rules) this.found.push(canonicalRule(part));
  }
}

/** Names of an atom that no owner covers; `[]` is the atom without a name; undefined when all are covered. */
function uncoveredNames(names: readonly string[], owners: readonly Rule[]): readonly string[] | undefined {
  if (owners.some(({ resourceNames }) => resourceNames.length === 0)) return undefined;
  if (names.length === 0) return names;
  const missing = names.filter((name) => !owners.some(({ resourceNames }) => resourceNames.includes(name)));
  return missing.length === 0 ? undefined : missing;
}

const DIMENSIONS = ["verbs", "resources", "nonResourceURLs", "apiGroups"] as const;

/** Joins parts that differ in one list only. For people: the parts together say exactly what they said before. */
function compact(parts: readonly Rule[]): readonly Rule[] {
  let rules = parts;
  for (const dimension of DIMENSIONS) {
    const groups = new Map<string, Rule>();
    for (const rule of rules) {
      const key = JSON.stringify({ ...rule, [dimension]: [] });
      const held = groups.get(key);
      const joined = held === undefined ? rule : { ...rule, [dimension]: [...held[dimension], ...rule[dimension]] };
      groups.set(key, joined);
    }
    rules = [...groups.values()].map(canonicalRule);
  }
  return rules;
}

/**
 * Cover test: does `owner` allow everything that `servant` allows (permissions §6.2)? Sound, and complete for finite rules: an atom
 * (one group, resource, verb, name or none; or one verb and URL) is never covered only by several rules together.
 *
 * @throws RuleBudgetExceeded `steps`
 */
export function covers(
  owner: readonly RuleInput[],
  servant: readonly RuleInput[],
  budget: RuleBudget = EFFECTIVE_RULE_BUDGET,
): Coverage {
  const meter = new BudgetMeter(budget);
  const test = new CoverTest(reduceRules(owner, meter), meter);
  for (const rule of servant) test.test(canonicalRule(ruleOf(rule)));
  const parts = reduceRules(compact(test.found), meter);
  return {
    covered: parts.length === 0,
    uncovered: parts.slice(0, MAX_UNCOVERED),
    more: Math.max(0, parts.length - MAX_UNCOVERED),
  };
}

/** One rule in a line, for messages: `get,list pods.apps "a"` or `get /metrics`. */
export function ruleText(rule: Rule): string {
  const verbs = rule.verbs.join(",");
  if (rule.nonResourceURLs.length > 0) return `${verbs} ${rule.nonResourceURLs.join(",")}`;
  const groups = rule.apiGroups.map((group) => (group === "" ? '""' : group)).join(",");
  const names = rule.resourceNames.length === 0 ? "" : ` named ${rule.resourceNames.join(",")}`;
  return `${verbs} ${rule.resources.join(",")} in ${groups}${names}`;
}

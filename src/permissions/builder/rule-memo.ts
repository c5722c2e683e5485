import { digestOf } from "../../base/digest.ts";
import { RuleBudgetExceeded } from "../algebra/budget.ts";
import { canonicalRules, ruleSetIdOf, rulesText } from "../algebra/canonical.ts";
import { intersectRules } from "../algebra/intersect.ts";
import { excessOver } from "../ceilings/excess.ts";
import type { Rule, RuleInput } from "../rules/rule.ts";
import type { RuleSet } from "../snapshot/content.ts";

/** Most remembered results, and rules in them; beyond it a memory starts anew. */
const MAX_REMEMBERED = 50_000;
const MAX_REMEMBERED_RULES = 500_000;

/** A rule set with the text it has in a snapshot. */
export interface SharedRuleSet extends RuleSet {
  /** Canonical JSON of id and rules. */
  readonly text: string;
}

/**
 * Rule sets by content, what they have in common and by how much one exceeds another: a fleet has tens of distinct sets and ceilings, so
 * nearly every set is read and nearly every declaration is trimmed from memory (permissions §8.2 step 2, §17). Results depend on content
 * alone, so a memory may outlive the objects; two results are told apart by their id, never as JavaScript objects.
 */
export class RuleMemo {
  readonly #sets = new Remembered<SharedRuleSet>();
  readonly #intersections = new RememberedPairs<SharedRuleSet | RuleBudgetExceeded>();
  readonly #excess = new RememberedPairs<readonly string[]>();

  /** The rules as a PermissionSet writes them, canonical. */
  ofRules(rules: readonly RuleInput[]): SharedRuleSet {
    const key = digestOf(JSON.stringify(rules));
    let found = this.#sets.get(key);
    if (found === undefined) {
      found = ruleSetOf(canonicalRules(rules));
      this.#sets.set(key, found, found.rules.length);
    }
    return found;
  }

  /** What both allow. @throws RuleBudgetExceeded the same for the same two sets */
  intersection(a: RuleSet, b: RuleSet): SharedRuleSet {
    const found = this.#intersection(a, b);
    if (found instanceof RuleBudgetExceeded) throw found;
    return found;
  }

  /** What `rules` allow beyond `ceiling`, in words; see {@link excessOver}. */
  excess(ceiling: RuleSet, rules: RuleSet): readonly string[] {
    let found = this.#excess.get(ceiling.id, rules.id);
    if (found === undefined) {
      found = excessOver(ceiling.rules, rules.rules);
      this.#excess.set(ceiling.id, rules.id, found, found.length);
    }
    return found;
  }

  /**
   * Finds out what {@link excess} and {@link intersection} of the two are, so that both are remembered when somebody asks. Of large sets
   * each takes milliseconds: yields after each that was not remembered.
   */
  *trim(ceiling: RuleSet, rules: RuleSet): Generator<void, void> {
    if (this.#excess.get(ceiling.id, rules.id) === undefined) {
      this.excess(ceiling, rules);
      yield;
    }
    if (this.#intersections.get(...inOrder(ceiling, rules)) === undefined) {
      this.#intersection(ceiling, rules);
      yield;
    }
  }

  #intersection(a: RuleSet, b: RuleSet): SharedRuleSet | RuleBudgetExceeded {
    const [one, other] = inOrder(a, b);
    let found = this.#intersections.get(one, other);
    if (found === undefined) {
      found = intersect(a.rules, b.rules);
      this.#intersections.set(one, other, found, found instanceof RuleBudgetExceeded ? 0 : found.rules.length);
    }
    return found;
  }
}

/** What two sets have in common is the same whichever comes first. */
function inOrder(a: RuleSet, b: RuleSet): readonly [string, string] {
  return a.id < b.id ? [a.id, b.id] : [b.id, a.id];
}

/** A memory with an end: too much in it, and it is empty again. */
class Remembered<T> {
  readonly #byKey = new Map<string, T>();
  #weight = 0;

  get(key: string): T | undefined {
    return this.#byKey.get(key);
  }

  set(key: string, value: T, weight: number): void {
    if (this.#byKey.size >= MAX_REMEMBERED || this.#weight + weight > MAX_REMEMBERED_RULES) {
      this.#byKey.clear();
      this.#weight = 0;
    }
    this.#byKey.set(key, value);
    this.#weight += weight;
  }
}

/** The same for what is known by two keys; neither is joined with the other, since looking up is all that happens most of the time. */
class RememberedPairs<T> {
  readonly #byKeys = new Map<string, Map<string, T>>();
  #size = 0;
  #weight = 0;

  get(one: string, other: string): T | undefined {
    return this.#byKeys.get(one)?.get(other);
  }

  set(one: string, other: string, value: T, weight: number): void {
    if (this.#size >= MAX_REMEMBERED || this.#weight + weight > MAX_REMEMBERED_RULES) {
      this.#byKeys.clear();
      this.#size = 0;
      this.#weight = 0;
    }
    const held = this.#byKeys.get(one);
    if (held === undefined) this.#byKeys.set(one, new Map([[other, value]]));
    else held.set(other, value);
    this.#size++;
    this.#weight += weight;
  }
}

function ruleSetOf(canonical: readonly Rule[]): SharedRuleSet {
  const rules = rulesText(canonical);
  const id = ruleSetIdOf(rules);
  return { id, rules: canonical, text: `{"id":"${id}","rules":${rules}}` };
}

function intersect(a: readonly RuleInput[], b: readonly RuleInput[]): SharedRuleSet | RuleBudgetExceeded {
  try {
    return ruleSetOf(intersectRules(a, b));
  } catch (error) {
    if (error instanceof RuleBudgetExceeded) return error;
    throw error;
  }
}

import type { Rule } from "../rules/rule.ts";
import { ruleCovers } from "./rule-cover.ts";
import { speaksOfResources, speaksOfUrls } from "./rule-half.ts";

/**
 * Rules by what they name, so that rules which have something in common are found without looking at all of them: two resource rules have
 * nothing in common unless a resource of the one is equal to, or a pattern over, one of the other. In the order in which they came.
 */
export class RuleIndex {
  readonly #rules = new Set<Rule>();
  /** By resource as written, and by `/sub` for every resource with a subresource. */
  readonly #byResource = new Map<string, Set<Rule>>();
  readonly #ofUrls = new Set<Rule>();

  constructor(rules: Iterable<Rule> = []) {
    for (const rule of rules) this.add(rule);
  }

  get size(): number {
    return this.#rules.size;
  }

  /** All of them. */
  get rules(): readonly Rule[] {
    return [...this.#rules];
  }

  add(rule: Rule): void {
    this.#rules.add(rule);
    if (speaksOfUrls(rule)) this.#ofUrls.add(rule);
    for (const key of keysOf(rule)) {
      const held = this.#byResource.get(key);
      if (held === undefined) this.#byResource.set(key, new Set([rule]));
      else held.add(rule);
    }
  }

  delete(rule: Rule): void {
    this.#rules.delete(rule);
    this.#ofUrls.delete(rule);
    for (const key of keysOf(rule)) this.#byResource.get(key)?.delete(rule);
  }

  /** True when one of them allows everything that a rule allows. */
  covers(rule: Rule): boolean {
    for (const other of this.#maybeOver(rule)) if (ruleCovers(other, rule)) return true;
    return false;
  }

  #maybeOver(rule: Rule): Iterable<Rule> {
    const [resource] = rule.resources;
    if (!speaksOfResources(rule) || resource === undefined) return speaksOfUrls(rule) ? this.#ofUrls : this.#rules;
    return this.#touching([resource]);
  }

  /** Every rule that may have something in common with another, and some that have not. */
  maybeMeeting(rule: Rule): Iterable<Rule> {
    if (!speaksOfResources(rule)) return speaksOfUrls(rule) ? this.#ofUrls : [];
    if (rule.resources.includes("*")) return this.#rules;
    const found = this.#touching(rule.resources);
    if (speaksOfUrls(rule)) for (const other of this.#ofUrls) found.add(other);
    return found;
  }

  #touching(resources: readonly string[]): Set<Rule> {
    const found = new Set<Rule>(this.#byResource.get("*"));
    for (const resource of resources) {
      const sub = subOf(resource);
      const keys = sub === undefined ? [resource] : [resource, `*${sub}`, ...(resource.startsWith("*/") ? [sub] : [])];
      for (const key of keys) for (const rule of this.#byResource.get(key) ?? []) found.add(rule);
    }
    return found;
  }
}

/** `/sub`; undefined for a resource without. */
function subOf(resource: string): string | undefined {
  const slash = resource.indexOf("/");
  return slash < 0 ? undefined : resource.slice(slash);
}

function keysOf({ resources }: Rule): ReadonlySet<string> {
  const keys = new Set<string>();
  for (const resource of resources) {
    keys.add(resource);
    const sub = subOf(resource);
    if (sub !== undefined) keys.add(sub);
  }
  return keys;
}

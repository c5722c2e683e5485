import { canonicalJson } from "../../base/canonical-json.ts";
import { RuleBudgetExceeded } from "../algebra/budget.ts";
import { covers, ruleText } from "../algebra/covers.ts";
import { type Rule, ruleToJson } from "../rules/rule.ts";
import type { ScopedGrant } from "../rules/scope.ts";
import type { Reach } from "./reach.ts";

/** What one reach allows and another does not, at one place; `namespaced` without namespaces is every namespace. */
export interface ReachDifference extends ScopedGrant {
  /** In words, one rule each, at most 20 (permissions §6.2). */
  readonly rules: readonly string[];
  /** Parts beyond those listed. */
  readonly more: number;
}

/** What `other` allows beyond `held`, sorted: cluster-wide first, then every namespace, then namespaces that differ in the same way together. */
export function beyond(held: Reach, other: Reach): readonly ReachDifference[] {
  const found: ReachDifference[] = [];
  const cluster = uncovered(held.cluster, other.cluster);
  if (cluster !== undefined) found.push({ scope: "cluster", namespaces: [], ...cluster });
  const anywhere = [...held.cluster, ...held.everyNamespace];
  const every = uncovered(anywhere, other.everyNamespace);
  if (every !== undefined) found.push({ scope: "namespaced", namespaces: [], ...every });
  const alike = new Map<string, { readonly namespaces: string[]; readonly difference: Uncovered }>();
  // Namespaces with the same rules on both sides differ in the same way: they are compared once.
  const compared = new Map<string, Uncovered | undefined>();
  for (const [namespace, rules] of [...other.namespaces].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const own = held.namespaces.get(namespace) ?? [];
    const key = `${textOf(own)}\0${textOf(rules)}`;
    if (!compared.has(key)) compared.set(key, uncovered([...anywhere, ...own], rules));
    const difference = compared.get(key);
    if (difference === undefined) continue;
    const text = canonicalJson([difference.rules, difference.more]);
    const together = alike.get(text);
    if (together === undefined) alike.set(text, { namespaces: [namespace], difference });
    else together.namespaces.push(namespace);
  }
  for (const { namespaces, difference } of alike.values())
    found.push({ scope: "namespaced", namespaces, ...difference });
  return found;
}

/** `cluster-wide`, `in every namespace` or `in a, b`; more than `max` namespaces are counted. */
export function placeText({ scope, namespaces }: ScopedGrant, max = 5): string {
  if (scope === "cluster") return "cluster-wide";
  if (namespaces.length === 0) return "in every namespace";
  const more = namespaces.length - max;
  return `in ${namespaces.slice(0, max).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}

type Uncovered = Pick<ReachDifference, "rules" | "more">;

function uncovered(owner: readonly Rule[], servant: readonly Rule[]): Uncovered | undefined {
  if (servant.length === 0) return undefined;
  try {
    const { covered, uncovered: parts, more } = covers(owner, servant);
    return covered ? undefined : { rules: parts.map(ruleText), more };
  } catch (error) {
    if (!(error instanceof RuleBudgetExceeded)) throw error;
    // Nobody knows that it lies inside, so it counts as beyond (permissions §6.5).
    return { rules: [`rules too large to compare (${error.message})`], more: 0 };
  }
}

function textOf(rules: readonly Rule[]): string {
  return canonicalJson(rules.map(ruleToJson));
}

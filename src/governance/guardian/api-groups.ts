import type { CustomResourceDefinitionObject } from "../../api/builtin.ts";
import { covers } from "../../permissions/algebra/covers.ts";
import { RuleBudgetExceeded } from "../../permissions/algebra/budget.ts";
import type { RuleInput } from "../../permissions/rules/rule.ts";

/** Verbs of a proposed rule (permissions §3). */
const VERBS = ["get", "list", "watch", "create", "update", "patch", "delete"];
const BUILT_IN: ReadonlySet<string> = new Set(["", "apps", "batch", "autoscaling", "policy", "core"]);
const OWN_SUFFIXES = [".k8s.io", ".x-k8s.io", ".ontai.dev"];
/** Most groups that are listed. */
const MAX_GROUPS = 2_000;

/** API groups of CRDs that are neither Kubernetes' nor ours, sorted (permissions §3). Pure. */
export function discoveredGroups(crds: Iterable<CustomResourceDefinitionObject>): readonly string[] {
  const groups = new Set<string>();
  for (const { spec } of crds) {
    const { group } = spec;
    if (!BUILT_IN.has(group) && !OWN_SUFFIXES.some((suffix) => group.endsWith(suffix))) groups.add(group);
  }
  return [...groups].sort().slice(0, MAX_GROUPS);
}

/** The rule that a proposal would add to the fleet's ceiling. */
export function extensionRule(group: string) {
  return { apiGroups: [group], resources: ["*"], verbs: VERBS };
}

/** Groups among `discovered` that a ceiling does not cover already. Pure. */
export function uncoveredGroups(discovered: readonly string[], ceiling: readonly RuleInput[]): readonly string[] {
  return discovered.filter((group) => {
    try {
      return !covers(ceiling, [extensionRule(group)]).covered;
    } catch (error) {
      if (error instanceof RuleBudgetExceeded) return false; // nobody widens what nobody can compare
      throw error;
    }
  });
}

/** Groups that a person has approved, of the annotation's comma-separated list. */
export function approvedGroups(annotation: string | undefined): ReadonlySet<string> {
  return new Set(
    (annotation ?? "")
      .split(",")
      .map((group) => group.trim())
      .filter((group) => group !== ""),
  );
}

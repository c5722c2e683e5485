import type { LabelSelector } from "../../../api/builtin.ts";
import type { LabelRequirement } from "./label-selector.ts";

/** The requirements of a `metav1.LabelSelector`; an empty one selects everything. */
export function selectorRequirements({ matchLabels, matchExpressions }: LabelSelector): readonly LabelRequirement[] {
  const exact = Object.entries(matchLabels ?? {}).map(([key, value]): LabelRequirement => ({
    op: "in",
    key,
    values: new Set([value]),
  }));
  const others = (matchExpressions ?? []).map(({ key, operator, values }): LabelRequirement => {
    switch (operator) {
      case "In":
        return { op: "in", key, values: new Set(values) };
      case "NotIn":
        return { op: "notin", key, values: new Set(values) };
      case "Exists":
        return { op: "exists", key };
      case "DoesNotExist":
        return { op: "absent", key };
    }
  });
  return [...exact, ...others];
}

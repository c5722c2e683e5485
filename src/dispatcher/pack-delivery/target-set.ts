import type { LabelSelector, PackDelivery } from "../../api/kinds/pack-delivery.ts";
import type { TalosCluster } from "../../api/kinds/talos-cluster.ts";

/** Clusters a PackDelivery is for: `targetClusters` and those its selector matches (dispatcher §4.2). Sorted, unique. */
export function targetSet(delivery: PackDelivery, clusters: readonly TalosCluster[]): ReadonlySet<string> {
  const { targetClusters, targetClusterSelector } = delivery.spec;
  const names = new Set(targetClusters ?? []);
  if (targetClusterSelector !== undefined)
    for (const { metadata } of clusters)
      if (matches(targetClusterSelector, metadata.labels ?? {})) names.add(metadata.name);
  return new Set([...names].sort());
}

/** `metav1.LabelSelector` semantics: every requirement must hold; an empty selector matches everything. */
function matches(selector: LabelSelector, labels: Readonly<Record<string, string>>): boolean {
  for (const [key, value] of Object.entries(selector.matchLabels ?? {})) if (labels[key] !== value) return false;
  return (selector.matchExpressions ?? []).every(({ key, operator, values }) => {
    const value = labels[key];
    switch (operator) {
      case "In":
        return value !== undefined && (values ?? []).includes(value);
      case "NotIn":
        return value === undefined || !(values ?? []).includes(value);
      case "Exists":
        return value !== undefined;
      case "DoesNotExist":
        return value === undefined;
    }
  });
}

/** Clusters named in an annotation value such as `a, b`. */
export function clusterList(text: string | undefined): ReadonlySet<string> {
  return new Set(
    (text ?? "")
      .split(",")
      .map((name) => name.trim())
      .filter((name) => name !== ""),
  );
}

import type { SnapshotContent } from "../snapshot/content.ts";
import type { ClusterRegistry } from "./applicable-clusters.ts";
import { type ClusterCeilings, type SnapshotLifetimes, clusterContent } from "./cluster-content.ts";
import { type Contribution, type ProfileInput, contributionOf } from "./contribution.ts";
import type { RuleMemo } from "./rule-memo.ts";

/** Everything content is computed from. */
export interface SnapshotInput extends SnapshotLifetimes {
  /** Clusters that get a snapshot, granted or not (permissions §8.2 step 6). */
  readonly clusters: readonly string[];
  readonly registry: ClusterRegistry;
  readonly profiles: readonly ProfileInput[];
  ceilings(cluster: string): ClusterCeilings;
  readonly memo: RuleMemo;
}

/** Content per cluster, and what each profile brought, in the order of the input. */
export interface BuiltSnapshots {
  readonly contents: ReadonlyMap<string, SnapshotContent>;
  readonly contributions: readonly Contribution[];
}

/**
 * The effective permission graph (permissions §8.2), pure: for every cluster the union of what provisioned profiles declare on it,
 * each declaration trimmed to all ceilings over it. Equal inputs in any order give equal content.
 */
export function buildSnapshots(input: SnapshotInput): BuiltSnapshots {
  const contributions = input.profiles.map((profile) => contributionOf(profile, input.registry, input.memo));
  const byCluster = new Map<string, Contribution[]>(input.clusters.map((cluster) => [cluster, []]));
  for (const contribution of contributions)
    for (const cluster of contribution.clusters) byCluster.get(cluster)?.push(contribution);
  const contents = new Map(
    [...byCluster].map(([cluster, own]) => [cluster, clusterContent(cluster, own, input.ceilings(cluster), input)]),
  );
  return { contents, contributions };
}

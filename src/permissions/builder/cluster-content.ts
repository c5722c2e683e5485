import {
  type RuleSet,
  type SnapshotBinding,
  type SnapshotContent,
  type SnapshotProfile,
  type SnapshotSubject,
  bindingSortKey,
  subjectSortKey,
} from "../snapshot/content.ts";
import {
  DEFAULT_FRESHNESS_WINDOW_SECONDS,
  DEFAULT_MAX_OFFLINE_SECONDS,
  SNAPSHOT_SCHEMA_VERSION,
} from "../snapshot/limits.ts";
import type { Contribution } from "./contribution.ts";

/** Ceilings that a snapshot carries as signed artifacts (permissions §2.4). */
export interface ClusterCeilings {
  /** `management-maximum`. */
  readonly fleet: RuleSet | undefined;
  /** `cluster-maximum` of the cluster. */
  readonly cluster: RuleSet | undefined;
}

/** How long statements about content hold, seconds; defaults when absent. */
export interface SnapshotLifetimes {
  readonly freshnessWindowSeconds?: number;
  readonly maxOfflineSeconds?: number;
}

interface HeldSubject {
  subject: Omit<SnapshotSubject, "bindings">;
  readonly bindings: SnapshotBinding[];
}

function sortBy<T>(list: Iterable<T>, key: (entry: T) => string): readonly T[] {
  return [...list]
    .map((entry) => ({ entry, key: key(entry) }))
    .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
    .map(({ entry }) => entry);
}

/** Joins what profiles bring to one cluster (permissions §8.2 step 5). Equal contributions in any order give equal content. */
export function clusterContent(
  cluster: string,
  contributions: Iterable<Contribution>,
  ceilings: ClusterCeilings,
  lifetimes: SnapshotLifetimes,
): SnapshotContent {
  const subjects = new Map<string, HeldSubject>();
  const ruleSets = new Map<string, RuleSet>();
  const profiles: SnapshotProfile[] = [];
  const suspended = new Set<string>();
  for (const contribution of contributions) {
    profiles.push(contribution.record);
    for (const principal of contribution.suspended) suspended.add(principal);
    for (const { ruleSet, binding } of contribution.grants.get(cluster) ?? []) {
      ruleSets.set(ruleSet.id, ruleSet);
      for (const subject of contribution.subjects) {
        const key = subjectSortKey(subject);
        const held = subjects.get(key);
        if (held === undefined) subjects.set(key, { subject, bindings: [binding] });
        else {
          held.bindings.push(binding);
          // One identity may be two principals; which of them is shown must not hang on the order.
          if (subject.principalRef < held.subject.principalRef) held.subject = subject;
        }
      }
    }
  }
  for (const ceiling of [ceilings.fleet, ceilings.cluster])
    if (ceiling !== undefined) ruleSets.set(ceiling.id, ceiling);
  return {
    schemaVersion: SNAPSHOT_SCHEMA_VERSION,
    targetCluster: cluster,
    ceilings: {
      ...(ceilings.fleet !== undefined && { fleet: ceilings.fleet.id }),
      ...(ceilings.cluster !== undefined && { cluster: ceilings.cluster.id }),
    },
    ruleSets: sortBy(ruleSets.values(), ({ id }) => id),
    subjects: sortBy(subjects, ([key]) => key).map(([, { subject, bindings }]) => ({
      kind: subject.kind,
      namespace: subject.namespace,
      name: subject.name,
      principalRef: subject.principalRef,
      bindings: sortBy(bindings, bindingSortKey),
    })),
    profiles: sortBy(profiles, ({ namespace, name }) => `${namespace}\0${name}`),
    suspendedPrincipals: [...suspended].sort(),
    freshnessWindowSeconds: lifetimes.freshnessWindowSeconds ?? DEFAULT_FRESHNESS_WINDOW_SECONDS,
    maxOfflineSeconds: lifetimes.maxOfflineSeconds ?? DEFAULT_MAX_OFFLINE_SECONDS,
  };
}

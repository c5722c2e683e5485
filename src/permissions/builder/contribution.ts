import type { PermissionSet } from "../../api/kinds/permission-set.ts";
import type { RBACPolicy } from "../../api/kinds/rbac-policy.ts";
import type { RBACProfile } from "../../api/kinds/rbac-profile.ts";
import { errorMessage } from "../../base/errors.ts";
import { type SubjectName, principalRefOf, subjectOfPrincipal } from "../rules/principal.ts";
import { type RuleSet, type SnapshotBinding, type SnapshotProfile, subjectSortKey } from "../snapshot/content.ts";
import { type ClusterRegistry, applicableClusters, clusterName, namespaceAllows } from "./applicable-clusters.ts";
import type { RuleMemo } from "./rule-memo.ts";

/** Warning about a declaration of which its ceilings leave nothing (permissions §8.2 step 3). */
export const DECLARATION_FULLY_TRIMMED = "DeclarationFullyTrimmed";

/** A profile with its gate, and the objects its grants come from. */
export interface ProfileInput {
  readonly profile: RBACProfile;
  /** Every check of permissions §7.3 passed. */
  readonly provisioned: boolean;
  readonly policy: RBACPolicy | undefined;
  /** Intersection of every ceiling over the policy; without one nothing is granted. */
  readonly ceiling: RuleSet | undefined;
  /** Who else the principal is, by valid IdentityBindings of the profile's namespace. */
  readonly identities: readonly SubjectName[];
  /** PermissionSet of the profile's namespace by name. */
  permissionSet(name: string): PermissionSet | undefined;
}

/** A grant of one profile on one cluster. */
export interface Grant {
  readonly ruleSet: RuleSet;
  readonly binding: SnapshotBinding;
}

/** What one profile brings to the clusters it aims at; a function of the profile and of what it refers to, nothing else. */
export interface Contribution {
  readonly record: SnapshotProfile;
  /** Clusters whose snapshot records the profile. */
  readonly clusters: readonly string[];
  /** Whom the grants are for. */
  readonly subjects: readonly (SubjectName & { readonly principalRef: string })[];
  /** Grants by cluster; every cluster is one of {@link clusters}. */
  readonly grants: ReadonlyMap<string, readonly Grant[]>;
  /** Principals denied before any rule. */
  readonly suspended: readonly string[];
  /** Positions of declarations of which the ceilings leave nothing. */
  readonly fullyTrimmed: readonly number[];
  /** Why a provisioned profile could not be taken in; it grants nothing then, and the others go on (permissions §8.2 step 7). */
  readonly problem: string | undefined;
}

/** Computes a profile's part of the effective permission graph: declared rules, trimmed to the ceiling (permissions §8.2). */
export function contributionOf(input: ProfileInput, registry: ClusterRegistry, memo: RuleMemo): Contribution {
  const { profile } = input;
  const { namespace = "", name, generation = 0 } = profile.metadata;
  const { principalRef, targetClusters, suspend } = profile.spec;
  const own = subjectOfPrincipal(principalRef);
  const names = new Map([own, ...input.identities].map((subject) => [subjectSortKey(subject), subject]));
  const subjects = [...names.values()].map(({ kind, namespace: home, name: called }) => ({
    kind,
    namespace: home,
    name: called,
    principalRef: principalRefOf(own),
  }));
  const clusters = [...new Set(targetClusters.map((written) => clusterName(written, registry)))].filter((cluster) =>
    namespaceAllows(namespace, cluster),
  );
  const base = {
    clusters,
    subjects,
    suspended: suspend === true && principalRef !== "" ? suspendedUsers(principalRef, input.identities) : [],
    record: { namespace, name, principalRef, generation, provisioned: input.provisioned },
  };
  const nothing = { grants: new Map<string, readonly Grant[]>(), fullyTrimmed: [], problem: undefined };
  if (!input.provisioned) return { ...base, ...nothing };
  try {
    return { ...base, ...grantsOf(input, registry, memo), problem: undefined };
  } catch (error) {
    const record = { ...base.record, provisioned: false };
    return { ...base, ...nothing, record, problem: errorMessage(error) };
  }
}

/** User names that are denied with a suspended principal. A group is not: its other members have done nothing. */
function suspendedUsers(principalRef: string, identities: readonly SubjectName[]): readonly string[] {
  return [principalRef, ...identities.filter(({ kind }) => kind !== "Group").map(principalRefOf)];
}

function grantsOf(
  { profile, policy, ceiling, permissionSet }: ProfileInput,
  registry: ClusterRegistry,
  memo: RuleMemo,
): Pick<Contribution, "grants" | "fullyTrimmed"> {
  const { namespace = "", name } = profile.metadata;
  if (policy === undefined) throw new Error("its RBACPolicy is missing");
  if (ceiling === undefined) throw new Error("a ceiling over its RBACPolicy is missing");
  const grants = new Map<string, Grant[]>();
  const fullyTrimmed: number[] = [];
  for (const [position, declaration] of profile.spec.permissionDeclarations.entries()) {
    const set = permissionSet(declaration.permissionSetRef);
    if (set === undefined) throw new Error(`PermissionSet ${namespace}/${declaration.permissionSetRef} is missing`);
    const ruleSet = memo.intersection(memo.ofSet(set), ceiling);
    if (ruleSet.rules.length === 0) {
      fullyTrimmed.push(position);
      continue;
    }
    const binding: SnapshotBinding = {
      ruleSet: ruleSet.id,
      scope: declaration.scope,
      namespaces: [...new Set(declaration.namespaces ?? [])].sort(),
      expiresAt: declaration.expiresAt ?? "",
      source: {
        profileNamespace: namespace,
        profileName: name,
        declaration: position,
        permissionSet: set.metadata.name,
        policy: policy.metadata.name,
      },
    };
    for (const cluster of applicableClusters(profile, declaration, policy, registry)) {
      const held = grants.get(cluster);
      if (held === undefined) grants.set(cluster, [{ ruleSet, binding }]);
      else held.push({ ruleSet, binding });
    }
  }
  return { grants, fullyTrimmed };
}

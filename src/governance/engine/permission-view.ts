import type { IdentityBinding } from "../../api/kinds/identity-binding.ts";
import type { IdentityProvider } from "../../api/kinds/identity-provider.ts";
import type { PermissionSet } from "../../api/kinds/permission-set.ts";
import type { RBACPolicy } from "../../api/kinds/rbac-policy.ts";
import type { RBACProfile } from "../../api/kinds/rbac-profile.ts";
import type { KubeObject, ObjectKey } from "../../api/object.ts";
import type { ClusterRegistry } from "../../permissions/builder/applicable-clusters.ts";
import type { ComputedContent } from "../../permissions/builder/computed-content.ts";
import type { Contribution } from "../../permissions/builder/contribution.ts";
import type { SharedRuleSet } from "../../permissions/builder/rule-memo.ts";
import type { ProfileVerdict } from "../../permissions/validation/validate-rbac-profile.ts";
import type { Verdict } from "../../permissions/validation/verdict.ts";

/** An object with its verdict. Never altered: what is judged again is another JavaScript object. */
export interface Judged<T, V extends Verdict = Verdict> {
  readonly object: T;
  readonly verdict: V;
}

/** A set with its rules, canonical. */
export interface JudgedSet extends Judged<PermissionSet> {
  readonly rules: SharedRuleSet;
}

/** A policy with the intersection of every ceiling over it; undefined while one of them is missing, invalid or over budget. */
export interface JudgedPolicy extends Judged<RBACPolicy> {
  readonly ceiling: SharedRuleSet | undefined;
  /** Clusters that it allows. */
  readonly allowed: ReadonlySet<string>;
}

/** A profile with what it brings to the clusters on which it stands. */
export interface JudgedProfile extends Judged<RBACProfile, ProfileVerdict> {
  readonly contribution: Contribution;
}

/** Judged objects of one kind by namespace and name. */
export interface Judgements<E> {
  readonly size: number;
  get(key: ObjectKey): E | undefined;
  values(): Iterable<E>;
}

/**
 * The effective permission graph as it stands: it moves on while the engine works, each entry and each snapshot in one step. Everything is
 * known by namespace and name, never by bare name (permissions §8.1).
 */
export interface PermissionView {
  readonly sets: Judgements<JudgedSet>;
  readonly policies: Judgements<JudgedPolicy>;
  readonly profiles: Judgements<JudgedProfile>;
  readonly providers: Judgements<Judged<IdentityProvider>>;
  readonly bindings: Judgements<Judged<IdentityBinding>>;
  /** By cluster; every tenant has one, granted or not. */
  readonly snapshots: ReadonlyMap<string, ComputedContent>;
  readonly registry: ClusterRegistry;
  /** Profiles that passed every check. */
  readonly provisionedProfiles: number;
  /** Profiles that declare a set. */
  profilesDeclaring(set: ObjectKey): number;
  /** Profiles under a policy. */
  profilesUnder(policy: ObjectKey): number;
  /** Profiles that stand on a cluster, registered or not. */
  profilesOn(cluster: string): Iterable<JudgedProfile>;
  /** What profiles grant on a cluster that has no snapshot, such as the management cluster itself; computed anew. */
  contentWithoutCeilings(cluster: string): ComputedContent;
}

/**
 * Hears what becomes another, as it does. `before` and `after` are undefined where there was and is none; both are never undefined, and
 * never the same.
 */
export interface PermissionListener {
  set?(before: JudgedSet | undefined, after: JudgedSet | undefined): void;
  policy?(before: JudgedPolicy | undefined, after: JudgedPolicy | undefined): void;
  provider?(before: Judged<IdentityProvider> | undefined, after: Judged<IdentityProvider> | undefined): void;
  binding?(before: Judged<IdentityBinding> | undefined, after: Judged<IdentityBinding> | undefined): void;
  profile?(before: JudgedProfile | undefined, after: JudgedProfile | undefined): void;
  /** Something on a cluster was computed again; its snapshot may be the same as before, which is then the same JavaScript object. */
  cluster?(name: string, before: ComputedContent | undefined, after: ComputedContent | undefined): void;
}

/** Key of the one object that two states of it are; see {@link PermissionListener}. */
export function changedKey(before: Judged<KubeObject> | undefined, after: Judged<KubeObject> | undefined): ObjectKey {
  const { namespace = "", name } = (after ?? before)?.object.metadata ?? { name: "" };
  return { namespace, name };
}

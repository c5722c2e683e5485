import type { PermissionDeclaration, RBACProfile } from "../../api/kinds/rbac-profile.ts";
import type { RBACPolicy } from "../../api/kinds/rbac-policy.ts";
import { canonicalJson } from "../../base/canonical-json.ts";
import { errorMessage } from "../../base/errors.ts";
import { type SubjectName, principalRefOf, subjectOfPrincipal } from "../rules/principal.ts";
import {
  type SnapshotBinding,
  bindingToJson,
  profileToJson,
  subjectSortKey,
  subjectToJson,
} from "../snapshot/content.ts";
import { type ClusterRegistry, clusterName, standingClusters } from "./applicable-clusters.ts";
import type { RuleMemo, SharedRuleSet } from "./rule-memo.ts";

/** Warning about a declaration of which its ceilings leave nothing (permissions §8.2 step 3). */
export const DECLARATION_FULLY_TRIMMED = "DeclarationFullyTrimmed";

/** A policy as grants under it need it. */
export interface GrantingPolicy {
  readonly object: RBACPolicy;
  /** Intersection of every ceiling over it; without one nothing is granted. */
  readonly ceiling: SharedRuleSet | undefined;
  /** Clusters that it allows (`allowedClusters`). */
  readonly allowed: ReadonlySet<string>;
}

/** A profile with its gate, and the objects its grants come from. */
export interface ProfileInput {
  readonly profile: RBACProfile;
  /** Every check of permissions §7.3 passed. */
  readonly provisioned: boolean;
  readonly policy: GrantingPolicy | undefined;
  /** Who else the principal is, by valid IdentityBindings of the profile's namespace. */
  readonly identities: readonly SubjectName[];
  /** Rules of a PermissionSet of the profile's namespace by its name. */
  rulesOf(name: string): SharedRuleSet | undefined;
}

/** A grant of one profile. */
export interface Grant {
  readonly ruleSet: SharedRuleSet;
  /** Canonical JSON of the binding (`bindingToJson`). */
  readonly binding: string;
  /** Where it holds; undefined is wherever the profile stands. */
  readonly only: ReadonlySet<string> | undefined;
}

/** Somebody whom a profile's grants are for. */
export interface GrantedSubject {
  /** See `subjectSortKey`. */
  readonly key: string;
  readonly principalRef: string;
  /** Canonical JSON of the subject from the end of its bindings on, which are its first member. */
  readonly tail: string;
}

/** Canonical JSON of a subject up to its first binding. */
export const SUBJECT_HEAD = '{"bindings":[';

/**
 * What one profile brings to the clusters on which it stands; a function of the profile and of what it refers to, nothing else. Its parts
 * are the very texts of which contents are put together: an unchanged profile is written once, whatever changes around it.
 */
export interface Contribution {
  /** Canonical JSON of the profile's record (`profileToJson`); undefined when its names cannot be written. */
  readonly record: string | undefined;
  readonly subjects: readonly GrantedSubject[];
  readonly grants: readonly Grant[];
  /** Principals denied before any rule. */
  readonly suspended: readonly string[];
  /** Positions of declarations of which the ceilings leave nothing. */
  readonly fullyTrimmed: readonly number[];
  /** Why a provisioned profile could not be taken in; it grants nothing then, and the others go on (permissions §8.2 step 7). */
  readonly problem: string | undefined;
}

// Most profiles have none of these: one empty list for all of them.
const NO_SUBJECTS: readonly GrantedSubject[] = [];
const NO_GRANTS: readonly Grant[] = [];
const NOBODY: readonly string[] = [];
const NONE_TRIMMED: readonly number[] = [];

/** Computes a profile's part of the effective permission graph: declared rules, trimmed to the ceiling (permissions §8.2). */
export function contributionOf(input: ProfileInput, registry: ClusterRegistry, memo: RuleMemo): Contribution {
  const { identities, profile, provisioned } = input;
  const suspended = suspendedUsers(profile, identities);
  let problem: string | undefined;
  if (provisioned)
    try {
      const record = recordOf(profile, true);
      const { subjects, grants, fullyTrimmed } = grantsOf(input, registry, memo);
      return { record, subjects, grants, suspended, fullyTrimmed, problem };
    } catch (error) {
      problem = errorMessage(error);
    }
  const [subjects, grants, fullyTrimmed] = [NO_SUBJECTS, NO_GRANTS, NONE_TRIMMED];
  try {
    return { record: recordOf(profile, false), subjects, grants, suspended, fullyTrimmed, problem };
  } catch (error) {
    return { record: undefined, subjects, grants, suspended: NOBODY, fullyTrimmed, problem: errorMessage(error) };
  }
}

/** @throws SeamError `NotCanonical` for names that no snapshot can hold */
function recordOf({ metadata, spec }: RBACProfile, provisioned: boolean): string {
  const { namespace = "", name, generation = 0 } = metadata;
  const { principalRef } = spec;
  return canonicalJson(profileToJson({ namespace, name, principalRef, generation, provisioned }));
}

/** User names that are denied with a suspended principal. A group is not: its other members have done nothing. */
function suspendedUsers({ spec }: RBACProfile, identities: readonly SubjectName[]): readonly string[] {
  const { principalRef, suspend } = spec;
  if (suspend !== true || principalRef === "") return NOBODY;
  return [principalRef, ...identities.filter(({ kind }) => kind !== "Group").map(principalRefOf)];
}

function subjectsOf(profile: RBACProfile, identities: readonly SubjectName[]): readonly GrantedSubject[] {
  const { principalRef } = profile.spec;
  const own = grantedSubject(subjectOfPrincipal(principalRef), principalRef);
  if (identities.length === 0) return [own];
  const found = new Map([[own.key, own]]);
  for (const identity of identities) {
    const subject = grantedSubject(identity, principalRef);
    if (!found.has(subject.key)) found.set(subject.key, subject);
  }
  return [...found.values()];
}

function grantedSubject({ kind, namespace, name }: SubjectName, principalRef: string): GrantedSubject {
  const text = canonicalJson({ bindings: [], ...subjectToJson({ kind, namespace, name, principalRef }) });
  return { key: subjectSortKey({ kind, namespace, name }), principalRef, tail: text.slice(SUBJECT_HEAD.length) };
}

function grantsOf(
  { profile, policy, identities, rulesOf }: ProfileInput,
  registry: ClusterRegistry,
  memo: RuleMemo,
): Pick<Contribution, "subjects" | "grants" | "fullyTrimmed"> {
  const { namespace = "", name } = profile.metadata;
  if (policy === undefined) throw new Error("its RBACPolicy is missing");
  const { ceiling, allowed } = policy;
  if (ceiling === undefined) throw new Error("a ceiling over its RBACPolicy is missing");
  const standing = standingClusters(profile, registry);
  const grants: Grant[] = [];
  const fullyTrimmed: number[] = [];
  for (const [position, declaration] of profile.spec.permissionDeclarations.entries()) {
    const rules = rulesOf(declaration.permissionSetRef);
    if (rules === undefined) throw new Error(`PermissionSet ${namespace}/${declaration.permissionSetRef} is missing`);
    const ruleSet = memo.intersection(rules, ceiling);
    if (ruleSet.rules.length === 0) {
      fullyTrimmed.push(position);
      continue;
    }
    const only = narrowed(declaration, standing, allowed, registry);
    if (only?.size === 0) continue;
    const binding: SnapshotBinding = {
      ruleSet: ruleSet.id,
      scope: declaration.scope,
      namespaces: sortedOnce(declaration.namespaces ?? NOBODY),
      expiresAt: declaration.expiresAt ?? "",
      source: {
        profileNamespace: namespace,
        profileName: name,
        declaration: position,
        permissionSet: declaration.permissionSetRef,
        policy: policy.object.metadata.name,
      },
    };
    grants.push({ ruleSet, binding: canonicalJson(bindingToJson(binding)), only });
  }
  return {
    subjects: grants.length === 0 ? NO_SUBJECTS : subjectsOf(profile, identities),
    grants,
    fullyTrimmed: fullyTrimmed.length === 0 ? NONE_TRIMMED : fullyTrimmed,
  };
}

function sortedOnce(names: readonly string[]): readonly string[] {
  return names.length === 0 ? names : [...new Set(names)].sort();
}

/** Where a declaration grants (permissions §4.3); undefined when that is everywhere the profile stands. */
function narrowed(
  { clusters = [] }: PermissionDeclaration,
  standing: readonly string[],
  allowed: ReadonlySet<string>,
  registry: ClusterRegistry,
): ReadonlySet<string> | undefined {
  const restricted = clusters.length === 0 ? undefined : new Set(clusters.map((name) => clusterName(name, registry)));
  const holds = (cluster: string): boolean => allowed.has(cluster) && restricted?.has(cluster) !== false;
  return standing.every(holds) ? undefined : new Set(standing.filter(holds));
}

/** True when two contributions leave every content as it is. */
export function sameContribution(a: Contribution, b: Contribution): boolean {
  return sameButPlaces(a, b) && a.grants.every(({ only }, i) => sameSet(only, b.grants[i]?.only));
}

/** Tells on which clusters of a profile its contribution is another than before. */
export function differingClusters(a: Contribution, b: Contribution): (cluster: string) => boolean {
  if (!sameButPlaces(a, b)) return () => true;
  return (cluster) =>
    a.grants.some(({ only }, i) => (only?.has(cluster) !== false) !== (b.grants[i]?.only?.has(cluster) !== false));
}

/** True when two contributions differ at most in where their grants hold. */
function sameButPlaces(a: Contribution, b: Contribution): boolean {
  return (
    a.record === b.record &&
    sameList(a.suspended, b.suspended, (one, other) => one === other) &&
    sameList(a.subjects, b.subjects, (one, other) => one.key === other.key && one.tail === other.tail) &&
    sameList(a.grants, b.grants, (one, other) => one.binding === other.binding)
  );
}

function sameList<T>(a: readonly T[], b: readonly T[], same: (one: T, other: T) => boolean): boolean {
  return a.length === b.length && a.every((one, i) => same(one, b[i] as T));
}

function sameSet(a: ReadonlySet<string> | undefined, b: ReadonlySet<string> | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.size === b.size && [...a].every((name) => b.has(name));
}

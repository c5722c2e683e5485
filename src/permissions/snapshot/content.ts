import { canonicalJson } from "../../base/canonical-json.ts";
import { type Digest, digestOf } from "../../base/digest.ts";
import type { JsonObject } from "../../base/json.ts";
import type { SubjectKind } from "../rules/principal.ts";
import { type Rule, ruleToJson } from "../rules/rule.ts";
import type { Scope } from "../rules/scope.ts";

/**
 * What a tenant evaluates: the part of a PermissionSnapshot that is hashed (permissions §8.3). Order of every list is fixed by the
 * builder, so equal inputs give equal bytes. Version, epoch, sequence and times are not part of it.
 */
export interface SnapshotContent {
  readonly schemaVersion: number;
  readonly targetCluster: string;
  /** Rule set ids of `management-maximum` and `cluster-maximum`, when the snapshot carries them. */
  readonly ceilings: SnapshotCeilings;
  /** Sorted by id. */
  readonly ruleSets: readonly RuleSet[];
  /** Sorted by (kind, namespace, name). */
  readonly subjects: readonly SnapshotSubject[];
  /** Sorted by (namespace, name). */
  readonly profiles: readonly SnapshotProfile[];
  /** Principal references, sorted; denied before any rule. */
  readonly suspendedPrincipals: readonly string[];
  readonly freshnessWindowSeconds: number;
  readonly maxOfflineSeconds: number;
}

/** See {@link SnapshotContent.ceilings}. */
export interface SnapshotCeilings {
  readonly fleet?: string;
  readonly cluster?: string;
}

/** A content-addressed canonical rule list, shared by subjects. */
export interface RuleSet {
  readonly id: string;
  readonly rules: readonly Rule[];
}

/** Somebody with grants. */
export interface SnapshotSubject {
  readonly kind: SubjectKind;
  /** Of a ServiceAccount; otherwise empty. */
  readonly namespace: string;
  readonly name: string;
  /** The profile's principal, as written there. */
  readonly principalRef: string;
  /** Sorted. */
  readonly bindings: readonly SnapshotBinding[];
}

/** A rule set granted to a subject. */
export interface SnapshotBinding {
  readonly ruleSet: string;
  readonly scope: Scope;
  /** Sorted; see `ScopedGrant`. */
  readonly namespaces: readonly string[];
  /** RFC 3339; empty is never. Evaluated at decision time. */
  readonly expiresAt: string;
  readonly source: BindingSource;
}

/** Where a binding comes from on the management cluster. */
export interface BindingSource {
  readonly profileNamespace: string;
  readonly profileName: string;
  /** Position in `spec.permissionDeclarations`. */
  readonly declaration: number;
  readonly permissionSet: string;
  readonly policy: string;
}

/** A profile's record, so that a tenant can answer gate-like questions. */
export interface SnapshotProfile {
  readonly namespace: string;
  readonly name: string;
  readonly principalRef: string;
  readonly generation: number;
  readonly provisioned: boolean;
}

/** JSON form of a binding. Names are in order, so that writing it is quick. */
export function bindingToJson({ expiresAt, namespaces, ruleSet, scope, source: from }: SnapshotBinding): JsonObject {
  const { declaration, permissionSet, policy, profileName, profileNamespace } = from;
  const source = { declaration, permissionSet, policy, profileName, profileNamespace };
  if (expiresAt === "" && namespaces.length === 0) return { ruleSet, scope, source };
  return {
    ...(expiresAt !== "" && { expiresAt }),
    ...(namespaces.length > 0 && { namespaces }),
    ruleSet,
    scope,
    source,
  };
}

/** JSON form of a subject but for its bindings, which stand first. */
export function subjectToJson(subject: Omit<SnapshotSubject, "bindings">): JsonObject {
  return {
    ...(subject.namespace !== "" && { namespace: subject.namespace }),
    principalRef: subject.principalRef,
    subjectKind: subject.kind,
    subjectName: subject.name,
  };
}

/** JSON form of a profile's record. */
export function profileToJson({ generation, name, namespace, principalRef, provisioned }: SnapshotProfile): JsonObject {
  return { generation, name, namespace, principalRef, provisioned };
}

/** JSON form of the ceilings. */
export function ceilingsToJson({ cluster, fleet }: SnapshotCeilings): JsonObject {
  return { ...(cluster !== undefined && { cluster }), ...(fleet !== undefined && { fleet }) };
}

/** JSON form, as in `PermissionSnapshot.spec`: empty optional fields do not exist. */
export function contentToJson(content: SnapshotContent): JsonObject {
  return {
    ceilings: ceilingsToJson(content.ceilings),
    freshnessWindowSeconds: content.freshnessWindowSeconds,
    maxOfflineSeconds: content.maxOfflineSeconds,
    profiles: content.profiles.map(profileToJson),
    ruleSets: content.ruleSets.map(({ id, rules }) => ({ id, rules: rules.map(ruleToJson) })),
    schemaVersion: content.schemaVersion,
    subjects: content.subjects.map((subject) => ({
      bindings: subject.bindings.map(bindingToJson),
      ...subjectToJson(subject),
    })),
    suspendedPrincipals: content.suspendedPrincipals,
    targetCluster: content.targetCluster,
  };
}

/** Canonical bytes and their digest: exactly what travels as the content blob and what the statement binds. */
export interface EncodedContent {
  readonly bytes: Uint8Array;
  readonly contentHash: Digest;
}

/** Encodes content (permissions §8.3). */
export function encodeContent(content: SnapshotContent): EncodedContent {
  const bytes = Buffer.from(canonicalJson(contentToJson(content)));
  return { bytes, contentHash: digestOf(bytes) };
}

/** Sort key of a binding: (ruleSet, scope, namespaces, expiresAt, source) (permissions §8.2). */
export function bindingSortKey(binding: SnapshotBinding): string {
  const { source } = binding;
  return canonicalJson([
    binding.ruleSet,
    binding.scope,
    binding.namespaces,
    binding.expiresAt,
    [
      source.profileNamespace,
      source.profileName,
      String(source.declaration).padStart(6, "0"),
      source.permissionSet,
      source.policy,
    ],
  ]);
}

/** Sort key of a subject. NUL separates, since no field may hold it. */
export function subjectSortKey(subject: Pick<SnapshotSubject, "kind" | "namespace" | "name">): string {
  // Joined into one text: a key is kept, and pieces of it would be kept with it.
  return [subject.kind, subject.namespace, subject.name].join("\0");
}

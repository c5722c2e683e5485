// Generated from crds/ by `npm run generate`. Do not edit.
import type { KubeObject } from "../object.ts";
import type { ResourceType } from "../resource-type.ts";
import type { Condition } from "./condition.ts";
import type { SealedCausalChain } from "./sealed-causal-chain.ts";
import type { SurfaceDifference } from "./surface-difference.ts";

/** PermissionSnapshot is the effective permission graph of one cluster. */
export interface PermissionSnapshot extends KubeObject {
  readonly apiVersion: "guardian.ontai.dev/v1alpha1";
  readonly kind: "PermissionSnapshot";
  /** Effective permissions of one cluster. Generated, never by hand. */
  readonly spec: PermissionSnapshotSpec;
  /** Observed state. */
  readonly status?: PermissionSnapshotStatus;
}

/** The served resource of {@link PermissionSnapshot}. */
export const PermissionSnapshot: ResourceType<PermissionSnapshot> = {
  group: "guardian.ontai.dev",
  version: "v1alpha1",
  resource: "permissionsnapshots",
  kind: "PermissionSnapshot",
  namespaced: true,
};

/** Effective permissions of one cluster. Generated, never by hand. */
export interface PermissionSnapshotSpec {
  /** Cluster. */
  readonly targetCluster: string;
  /** `e{epoch}.s{sequence}.{first 12 hex of contentHash}`. */
  readonly version: string;
  /** Ordering key, first part. */
  readonly epoch?: number;
  /** Ordering key, second part. */
  readonly sequence?: number;
  /** SHA-256 of the canonical content (permissions §8.3). */
  readonly contentHash?: string;
  /** Version of the content schema. */
  readonly schemaVersion?: number;
  /** When it was generated; kept for compatibility. */
  readonly generatedAt?: string;
  /** When it was generated. */
  readonly snapshotTimestamp?: string;
  /** How long it counts as fresh, seconds. */
  readonly freshnessWindowSeconds?: number;
  /** How long it may be served without renewal, seconds. */
  readonly maxOfflineSeconds?: number;
  /** Hex SHA-256 of the SPKI DER. */
  readonly signingKeyFingerprint?: string;
  /** Rule sets by id, shared by subjects. */
  readonly ruleSets?: readonly SnapshotRuleSet[];
  /** Subjects. */
  readonly subjects?: readonly SnapshotSubject[];
  /** Legacy view; never read back. */
  readonly principalPermissions?: readonly PrincipalPermission[];
  /** Ceilings as signed artifacts. */
  readonly ceilings?: SnapshotCeilings;
  /** Profiles and their gate. */
  readonly profiles?: readonly SnapshotProfile[];
  /** Deny-overrides. */
  readonly suspendedPrincipals?: readonly string[];
  /** Revocation floor. */
  readonly minSequence?: number;
  /** Content in chunks, when inline it would exceed 512 KiB. */
  readonly contentRef?: SnapshotContentRef;
  /** Sealed causal chain: the root declaration this object descends from. Set at creation, immutable. */
  readonly lineage?: SealedCausalChain;
}

/** One rule set. */
export interface SnapshotRuleSet {
  /** `rs-` and 32 hex digits. */
  readonly id: string;
  /** Rules. */
  readonly rules: readonly SnapshotRule[];
}

/** One rule. */
export interface SnapshotRule {
  /** API groups; `""` is core, `*` is all. */
  readonly apiGroups?: readonly string[];
  /** `*`, `name`, `name/sub` or `*\/sub`. */
  readonly resources?: readonly string[];
  /** Verbs; `*` is all. */
  readonly verbs: readonly string[];
  /** Names; absent means every name. */
  readonly resourceNames?: readonly string[];
  /** Paths; excludes the resource fields. */
  readonly nonResourceURLs?: readonly string[];
}

/** One subject. */
export interface SnapshotSubject {
  /** Name. */
  readonly subjectName: string;
  /** Kind. */
  readonly subjectKind: "ServiceAccount" | "User" | "Group";
  /** Namespace of a ServiceAccount. */
  readonly namespace?: string;
  /** Principal. */
  readonly principalRef?: string;
  /** Bindings. */
  readonly bindings?: readonly SnapshotBinding[];
  /** Legacy view; never read back. */
  readonly permissions?: readonly SnapshotRule[];
}

/** One binding of a subject to a rule set. */
export interface SnapshotBinding {
  /** Rule set id. */
  readonly ruleSet: string;
  /** Where the rules hold. */
  readonly scope: "namespaced" | "cluster";
  /** Namespaces, with scope namespaced. */
  readonly namespaces?: readonly string[];
  /** End of a time-bound grant. */
  readonly expiresAt?: string;
  /** Where the grant comes from. */
  readonly source: GrantSource;
}

/** Where the grant comes from. */
export interface GrantSource {
  /** Namespace of the profile. */
  readonly profileNamespace: string;
  /** Profile. */
  readonly profileName: string;
  /** Index of the declaration. */
  readonly declaration: number;
  /** PermissionSet. */
  readonly permissionSet: string;
  /** RBACPolicy. */
  readonly policy?: string;
}

/** One principal. */
export interface PrincipalPermission {
  /** Principal. */
  readonly principalRef: string;
  /** Operations. */
  readonly allowedOperations?: readonly AllowedOperation[];
}

/** One operation. */
export interface AllowedOperation {
  /** API group. */
  readonly apiGroup: string;
  /** Resource. */
  readonly resource: string;
  /** Verbs. */
  readonly verbs: readonly string[];
  /** Clusters. */
  readonly clusters?: readonly string[];
}

/** Ceilings as signed artifacts. */
export interface SnapshotCeilings {
  /** Rule set id of management-maximum. */
  readonly fleet?: string;
  /** Rule set id of cluster-maximum. */
  readonly cluster?: string;
}

/** One profile. */
export interface SnapshotProfile {
  /** Namespace. */
  readonly namespace: string;
  /** Name. */
  readonly name: string;
  /** Principal. */
  readonly principalRef: string;
  /** metadata.generation. */
  readonly generation: number;
  /** The gate. */
  readonly provisioned: boolean;
}

/** Content in chunks, when inline it would exceed 512 KiB. */
export interface SnapshotContentRef {
  /** Chunks in order. */
  readonly chunks: readonly SnapshotChunk[];
}

/** One chunk. */
export interface SnapshotChunk {
  /** ConfigMap name. */
  readonly name: string;
  /** Hex SHA-256. */
  readonly sha256: string;
  /** Size, bytes. */
  readonly bytes: number;
}

/** Observed state. */
export interface PermissionSnapshotStatus {
  /** metadata.generation last processed by the owning reconciler. */
  readonly observedGeneration?: number;
  /** Version the tenant should hold. */
  readonly expectedVersion?: string;
  /** Version the tenant acknowledged last. */
  readonly lastAckedVersion?: string;
  /** When the tenant was last heard. */
  readonly lastSeen?: string;
  /** expectedVersion differs from lastAckedVersion. */
  readonly drift?: boolean;
  /** The RBAC surface on the cluster differs from the content. */
  readonly driftDetected?: boolean;
  /** Epoch of what the tenant holds, while that is ahead of this snapshot; a hub that came back older begins a later epoch. */
  readonly reportedEpoch?: number;
  /** Sequence that belongs to reportedEpoch. */
  readonly reportedSequence?: number;
  /** Hash of the RBAC surface that the tenant reported last. */
  readonly surfaceHash?: string;
  /** Rights of governed subjects beyond the snapshot, as far as they are listed. */
  readonly excess?: readonly SurfaceDifference[];
  /** Rights beyond the snapshot. */
  readonly excessTotal?: number;
  /** Rights that the snapshot grants and the cluster does not, as far as they are listed. */
  readonly missing?: readonly SurfaceDifference[];
  /** Rights that are missing. */
  readonly missingTotal?: number;
  /** What the tenant says of the roles and bindings it materialises. */
  readonly localProvisioningStatus?: string;
  /** signedVersion equals spec.version. */
  readonly signed?: boolean;
  /** Version that was signed last. */
  readonly signedVersion?: string;
  /** Short id of the signing key. */
  readonly signingKeyID?: string;
  /** When the current statement was issued. */
  readonly issuedAt?: string;
  /** Until when it counts as fresh. */
  readonly freshUntil?: string;
  /** Until when it may be served. */
  readonly expiresAt?: string;
  /** Latest observations of the object's state, one entry per type, one writer per entry. */
  readonly conditions?: readonly Condition[];
}

import { SeamError } from "../base/errors.ts";
import { sha256Hex } from "../base/digest.ts";

/** Namespaces (resources-seam §0, permissions §0). */
export const NAMESPACES = {
  /** Conductor, on every cluster. */
  ont: "ont-system",
  /** Management control objects. */
  seam: "seam-system",
} as const;

/** Prefix of the namespace a tenant has on the management cluster. */
export const TENANT_NAMESPACE_PREFIX = "seam-tenant-";

/** Objects of the two upper permission layers: the fleet's in `seam-system`, a cluster's in `seam-tenant-{cluster}` (permissions §0). */
export const PERMISSION_LAYERS = {
  fleet: { policy: "management-policy", maximum: "management-maximum" },
  cluster: { policy: "cluster-policy", maximum: "cluster-maximum" },
} as const;

/** RBACProfile of a tenant's own conductor, in `seam-tenant-{cluster}`, and its principal (permissions §3). */
export const TENANT_CONDUCTOR = { profile: "conductor-tenant", principal: "conductor" } as const;

/** Name of the one Guardian object, in `seam-system` (permissions §13.2). */
export const GUARDIAN_NAME = "guardian";

/** Labels (dispatcher §0.1). Values go through {@link labelValue}. */
export const LABELS = {
  pack: "seam.ontai.dev/pack",
  packVersion: "seam.ontai.dev/pack-version",
  basePack: "seam.ontai.dev/base-pack",
  cluster: "seam.ontai.dev/cluster",
  packExecution: "seam.ontai.dev/pack-execution",
  packDeliveryUid: "seam.ontai.dev/packdelivery-uid",
  /** On every object a pack applied on the target: name of the PackInstalled. */
  packInstalled: "seam.ontai.dev/pack-installed",
  mirroredFrom: "seam.ontai.dev/mirrored-from",
  superseded: "seam.ontai.dev/superseded",
  rootRecord: "seam.ontai.dev/root-record",
  rootRecordNamespace: "seam.ontai.dev/root-record-namespace",
  seamOperator: "seam.ontai.dev/seam-operator",
  creationRationale: "seam.ontai.dev/creation-rationale",
  managedBy: "seam.ontai.dev/managed-by",
  snapshotType: "ontai.dev/snapshot-type",
  webhookMode: "seam.ontai.dev/webhook-mode",
  policyType: "ontai.dev/policy-type",
  /** On what the permission plane writes: `guardian` or `compiler` (permissions §0). */
  rbacManagedBy: "ontai.dev/managed-by",
  /** On materialised RBAC: `{namespace}.{name}` of the RBACProfile it comes from. */
  rbacProfile: "ontai.dev/rbac-profile",
} as const;

/** Annotations that the system writes. */
export const ANNOTATIONS = {
  /** Bare base64 Ed25519 signature on a PackDelivery. */
  packSignature: "ontai.dev/pack-signature",
  /** The same on PackInstalled and PermissionSnapshot. */
  managementSignature: "seam.ontai.dev/management-signature",
  /** Alias on PermissionSnapshot (seed vocabulary). */
  snapshotSignature: "ontai.dev/snapshot-signature",
  /** Hex SHA-256 of the signed body. */
  managementSpecHash: "seam.ontai.dev/management-spec-hash",
  /** Short id of the signing key. */
  signingKeyId: "seam.ontai.dev/signing-key-id",
  specChecksumSnapshot: "seam.ontai.dev/spec-checksum-snapshot",
  declaringPrincipal: "seam.ontai.dev/declaring-principal",
  mirroredAt: "seam.ontai.dev/mirrored-at",
  rbacOwner: "ontai.dev/rbac-owner",
  /** On materialised RBAC: `{namespace}/{name}` of the RBACProfile it comes from. */
  rbacProfile: "ontai.dev/rbac-profile",
  actorRef: "seam.ontai.dev/actor-ref",
  contentHash: "seam.ontai.dev/content-hash",
  /** On `cluster-maximum`: `follow` (default) or `pinned` (permissions §4.5). */
  ceilingSync: "ontai.dev/ceiling-sync",
  /** On the agent's namespace of an API server that somebody brought: short id of the signing key of the mesh it belongs to. */
  meshKey: "seam.ontai.dev/mesh-key",
  /** On the Guardian: API groups that a person lets the fleet's ceiling gain, comma-separated (permissions §3). */
  ceilingExtensionApproved: "ontai.dev/ceiling-extension-approved",
} as const;

/** Annotations by which people control a PackDelivery (resources-seam §1.4). */
export const CONTROLS = {
  revoke: "seam.ontai.dev/revoke",
  redeploy: "seam.ontai.dev/redeploy",
  paused: "seam.ontai.dev/paused",
  rollbackTo: "seam.ontai.dev/rollback-to",
  unpin: "seam.ontai.dev/unpin",
  excludeClusters: "seam.ontai.dev/exclude-clusters",
  forceDelete: "seam.ontai.dev/force-delete",
  securityOverride: "seam.ontai.dev/security-override",
} as const;

/** Finalizers. */
export const FINALIZERS = {
  packDelivery: "seam.ontai.dev/packdelivery-cleanup",
  packInstalled: "seam.ontai.dev/workload-cleanup",
  clusterRbac: "guardian.ontai.dev/cluster-rbac",
} as const;

/** Field managers of server-side apply; one per writer. */
export const FIELD_MANAGERS = {
  agent: "conductor-agent",
  hub: "conductor-hub",
  signer: "conductor-signer",
  indexBuilder: "conductor-index",
  packDeploy: "conductor-pack-deploy",
  permissionEngine: "guardian-engine",
  clusterPolicies: "guardian-cluster-policies",
  identityProbe: "guardian-identity-probe",
  /** Roles and bindings from profiles, on tenants and on the management cluster. */
  rbacMaterialiser: "guardian-rbac",
  /** What a tenant says of its RBAC surface in its snapshot receipt. */
  rbacSurface: "conductor-agent-rbac",
  /** PermissionSets and profiles made from the RBAC of an existing cluster (permissions §13.4). */
  rbacIntake: "guardian-rbac-intake",
  /** RunnerConfigs and what else Platform generates (INV-009). */
  platform: "platform",
  dispatcher: "dispatcher",
  corrector: "dispatcher-corrector",
} as const;

/** The management side's Secrets and ConfigMaps in `seam-tenant-{cluster}`. */
export const SECRET_NAMES = {
  /** The tenant's signed index. */
  federationIndex: "federation-index",
  /** ConfigMap with the index ledger: survives the loss of the Secret. */
  federationIndexLedger: "federation-index-ledger",
} as const;

/** What the names of Secrets with signed governance objects begin with. */
export const GOVERNANCE_SECRET_PREFIX = "seam-governance-signed-";

/** Types of Secrets. */
export const SECRET_TYPES = {
  federationIndex: "seam.ontai.dev/federation-index",
  signedArtifact: "Opaque",
} as const;

/** Longest cluster name (resources-seam §0.1). */
export const MAX_CLUSTER_NAME = 40;
/** Longest PackDelivery name and base pack name. */
export const MAX_PACK_NAME = 52;
/** Longest object name (DNS subdomain). */
export const MAX_OBJECT_NAME = 253;
/** Longest label value. */
const MAX_LABEL_VALUE = 63;

const CLUSTER_NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const LABEL_VALUE = /^([A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?)?$/;

function checked(name: string, object: string): string {
  if (name.length <= MAX_OBJECT_NAME && SUBDOMAIN.test(name)) return name;
  // A hashed name stays unique and legal whatever the parts were (dispatcher §4.2).
  const legal = name
    .toLowerCase()
    .replaceAll(/[^a-z0-9.-]+/g, "-")
    .replaceAll(/^[.-]+|[.-]+$/g, "")
    .replaceAll(/[.-]*\.[.-]*/g, ".")
    .slice(0, 200)
    .replaceAll(/[.-]+$/g, "");
  const hashed = `${legal === "" ? object : legal}-${sha256Hex(name).slice(0, 10)}`;
  return hashed;
}

/** True for a legal cluster name: DNS label of at most 40 characters. */
export function isClusterName(name: string): boolean {
  return name.length <= MAX_CLUSTER_NAME && CLUSTER_NAME.test(name);
}

/** Checks a cluster name. @throws SeamError `InvalidClusterName` */
export function assertClusterName(name: string): string {
  if (!isClusterName(name))
    throw new SeamError({
      reason: "InvalidClusterName",
      object: `cluster ${JSON.stringify(name)}`,
      field: "name",
      expected: `a DNS label of at most ${MAX_CLUSTER_NAME} characters (a-z, 0-9, -)`,
      remedy: "choose a shorter or simpler cluster name",
    });
  return name;
}

/** Namespace of a tenant on the management cluster. @throws SeamError `InvalidClusterName` */
export function tenantNamespace(cluster: string): string {
  return TENANT_NAMESPACE_PREFIX + assertClusterName(cluster);
}

/** Cluster that a tenant namespace belongs to; undefined for any other namespace. */
export function clusterOfNamespace(namespace: string | undefined): string | undefined {
  if (namespace?.startsWith(TENANT_NAMESPACE_PREFIX) !== true) return undefined;
  const cluster = namespace.slice(TENANT_NAMESPACE_PREFIX.length);
  return isClusterName(cluster) ? cluster : undefined;
}

/** `{pack}-{cluster}` (resources-seam §2). */
export function packExecutionName(packDelivery: string, cluster: string): string {
  return checked(`${packDelivery}-${cluster}`, "pack-execution");
}

/** `{basePackName or pack}-{cluster}`: one per logical pack and cluster; also the name of its PackReceipt and index item. */
export function packInstalledName(basePack: string, cluster: string): string {
  return checked(`${basePack}-${cluster}`, "pack-installed");
}

/** `pack-deploy-result-{packExecution}-r{revision}` (resources-seam §5). */
export function packLogName(packExecution: string, revision: number): string {
  return checked(`pack-deploy-result-${packExecution}-r${revision}`, "pack-log");
}

/** Secret with the signed pack manifest (conductor §7.1). */
export function signedPackSecretName(cluster: string, packInstalled: string): string {
  return checked(`seam-pack-signed-${cluster}-${packInstalled}`, "seam-pack-signed");
}

/** Secret with the signed permission snapshot. */
export function signedSnapshotSecretName(cluster: string): string {
  return `seam-snapshot-signed-${assertClusterName(cluster)}`;
}

/** Secret with the signed correction of a PackInstalled. */
export function correctionSecretName(packInstalled: string): string {
  return checked(`seam-correction-${packInstalled}`, "seam-correction");
}

/** ConfigMap with a tombstone request (dispatcher §10.4). */
export function tombstoneRequestName(packInstalled: string): string {
  return checked(`seam-pack-tombstone-${packInstalled}`, "seam-pack-tombstone");
}

/** Secret with a signed tombstone. */
export function tombstoneSecretName(packInstalled: string): string {
  return checked(`seam-tombstone-signed-${packInstalled}`, "seam-tombstone-signed");
}

/** PermissionSnapshot of a cluster (permissions §8.5). */
export function snapshotName(cluster: string): string {
  return `snapshot-${assertClusterName(cluster)}`;
}

/** PermissionSnapshotReceipt of a cluster. */
export function snapshotReceiptName(cluster: string): string {
  return `receipt-${assertClusterName(cluster)}`;
}

/** DriftSignal for the resources of a pack (conductor §9.2). */
export function packDriftSignalName(packInstalled: string): string {
  return checked(`drift-${packInstalled}`, "drift");
}

/** Base pack name of a PackDelivery. */
export function basePackOf(delivery: {
  readonly metadata: { readonly name: string };
  readonly spec: { readonly basePackName?: string };
}): string {
  return delivery.spec.basePackName ?? delivery.metadata.name;
}

/**
 * Makes any text a legal label value: as it is when it fits, else its first 52 legal characters, `-` and 10 hex digits of its
 * SHA-256 (dispatcher §0.1). The raw value belongs in an annotation.
 */
export function labelValue(text: string): string {
  if (text.length <= MAX_LABEL_VALUE && LABEL_VALUE.test(text)) return text;
  const legal = text
    .replaceAll(/[^A-Za-z0-9_.-]/g, "-")
    .replaceAll(/^[^A-Za-z0-9]+/g, "")
    .slice(0, 52);
  return `${legal}-${sha256Hex(text).slice(0, 10)}`.replaceAll(/^-+/g, "");
}

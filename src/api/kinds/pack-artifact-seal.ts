// Generated from crds/ by `npm run generate`. Do not edit.
import type { ExecutionStage } from "./execution-stage.ts";
import type { LifecyclePolicies } from "./lifecycle-policies.ts";
import type { PackDeliveryOrigin } from "./pack-delivery-origin.ts";
import type { SecretNameRef } from "./secret-name-ref.ts";

/** Everything a delivery needs to know about the artifact, with the signature that covers it. */
export interface PackArtifactSeal {
  /** Repository without scheme, tag or digest. */
  readonly registryURL: string;
  /** Digest of the OCI index. */
  readonly digest: string;
  /** Digest of the rbac bucket manifest. */
  readonly rbacDigest?: string;
  /** Digest of the cluster-scoped bucket manifest; absent when the bucket is empty. */
  readonly clusterScopedDigest?: string;
  /** Digest of the workload bucket manifest. */
  readonly workloadDigest?: string;
  /** Checksum over the layers. */
  readonly checksum?: string;
  /** Pack version. */
  readonly version: string;
  /** Stages in the order in which they are applied. */
  readonly executionOrder?: readonly ExecutionStage[];
  /** Canonical JSON that was signed. */
  readonly signedBody: string;
  /** Base64 of the bare Ed25519 signature over the pre-authentication encoding of signedBody. */
  readonly signature: string;
  /** Hex SHA-256 of the SPKI DER of the signing key, or its first 16 digits. */
  readonly signingKeyID: string;
  /** Origin of the seal. */
  readonly packDelivery: PackDeliveryOrigin;
  /** What happens to deployed objects when the pack changes or leaves. */
  readonly lifecyclePolicies?: LifecyclePolicies;
  /** How long the workloads may take to become ready, seconds. */
  readonly deployTimeoutSeconds?: number;
  /** dockerconfigjson Secret in the tenant namespace. */
  readonly registrySecretRef?: SecretNameRef;
}

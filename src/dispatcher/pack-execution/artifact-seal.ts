import type { PackArtifactSeal } from "../../api/kinds/pack-artifact-seal.ts";
import type { PackDelivery } from "../../api/kinds/pack-delivery.ts";
import type { PackExecution } from "../../api/kinds/pack-execution.ts";
import { ANNOTATIONS, LABELS, basePackOf, labelValue, packExecutionName, tenantNamespace } from "../../api/names.ts";
import type { ObjectMeta, OwnerReference } from "../../api/object.ts";

/** What was verified about a PackDelivery's signature. */
export interface SignedDelivery {
  readonly body: Uint8Array;
  readonly signature: string;
}

/** Copies the artifact and its signature out of a verified PackDelivery (dispatcher §9.5). */
export function sealOf(delivery: PackDelivery, signed: SignedDelivery): PackArtifactSeal {
  const { spec, metadata } = delivery;
  const optional = {
    rbacDigest: spec.rbacDigest,
    clusterScopedDigest: spec.clusterScopedDigest,
    workloadDigest: spec.workloadDigest,
    checksum: spec.checksum,
    executionOrder: spec.executionOrder,
    lifecyclePolicies: spec.lifecyclePolicies,
    deployTimeoutSeconds: spec.deployTimeoutSeconds,
    registrySecretRef: spec.registrySecretRef,
  };
  return {
    registryURL: spec.registryRef.url,
    digest: spec.registryRef.digest,
    version: spec.version,
    signedBody: Buffer.from(signed.body).toString(),
    signature: signed.signature,
    signingKeyID: metadata.annotations?.[ANNOTATIONS.signingKeyId] ?? "",
    packDelivery: {
      namespace: metadata.namespace ?? "",
      name: metadata.name,
      ...(metadata.uid === undefined ? {} : { uid: metadata.uid }),
    },
    ...defined(optional),
  };
}

/** The PackExecution that the fan-out creates (dispatcher §4.2). */
export function packExecutionFor(delivery: PackDelivery, signed: SignedDelivery, cluster: string): PackExecution {
  const { spec, metadata } = delivery;
  const namespace = tenantNamespace(cluster);
  const { chartName, chartURL, chartVersion, helmVersion } = spec;
  const owner: readonly OwnerReference[] =
    metadata.namespace === namespace && metadata.uid !== undefined
      ? [{ apiVersion: delivery.apiVersion, kind: delivery.kind, name: metadata.name, uid: metadata.uid }]
      : [];
  const meta: ObjectMeta = {
    name: packExecutionName(metadata.name, cluster),
    namespace,
    labels: packLabels(delivery, cluster),
    ...(owner.length === 0 ? {} : { ownerReferences: owner }),
  };
  return {
    apiVersion: "seam.ontai.dev/v1alpha1",
    kind: "PackExecution",
    metadata: meta,
    spec: {
      clusterPackRef: {
        name: metadata.name,
        version: spec.version,
        namespace: metadata.namespace ?? "",
        ...(metadata.uid === undefined ? {} : { uid: metadata.uid }),
      },
      targetClusterRef: cluster,
      admissionProfileRef: spec.admissionProfileRef ?? basePackOf(delivery),
      artifact: sealOf(delivery, signed),
      intent: "Deploy",
      ...defined({ chartName, chartURL, chartVersion, helmVersion }),
    },
  };
}

/** Labels of everything derived from one PackDelivery for one cluster, with its lineage root (resources-seam §0.5). */
export function packLabels(delivery: PackDelivery, cluster: string): Readonly<Record<string, string>> {
  return {
    [LABELS.pack]: labelValue(delivery.metadata.name),
    [LABELS.packVersion]: labelValue(delivery.spec.version),
    [LABELS.basePack]: labelValue(basePackOf(delivery)),
    [LABELS.cluster]: cluster,
    [LABELS.packDeliveryUid]: labelValue(delivery.metadata.uid ?? ""),
    [LABELS.rootRecord]: labelValue(`packdelivery-${delivery.metadata.name}`),
    [LABELS.rootRecordNamespace]: delivery.metadata.namespace ?? "",
    [LABELS.seamOperator]: "dispatcher",
    [LABELS.creationRationale]: "PackExecution",
  };
}

/** The same artifact, whoever signed it when: a new signature over the same body is no other delivery. */
export function sameSeal(execution: PackExecution, signed: SignedDelivery): boolean {
  const seal = execution.spec.artifact ?? execution.status?.artifact;
  return seal !== undefined && Buffer.from(signed.body).equals(Buffer.from(seal.signedBody));
}

/** Without members that are undefined. */
export function defined<T extends object>(value: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}

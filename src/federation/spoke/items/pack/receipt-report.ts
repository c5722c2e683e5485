import { create } from "@bufbuild/protobuf";
import {
  type DeployedResource,
  DeployedResourceSchema,
  type DriftedResource,
  DriftedResource_Change,
  DriftedResourceSchema,
} from "../../../../api/gen/conductor/federation/v1alpha1/facts_pb.ts";
import type { DeployedResourceRef } from "../../../../api/kinds/deployed-resource-ref.ts";
import type { PackReceipt } from "../../../../api/kinds/pack-receipt.ts";
import type { DriftedObject } from "../../../../packs/drift/check-pack.ts";
import type { FactOutbox } from "../../ports.ts";

/** What the outbox takes for one receipt. */
export type ReceiptReport = Parameters<FactOutbox["packReceipt"]>[0];

/** Most drifted objects of one report. */
export const MAX_REPORTED_DRIFT = 20;

const CHANGES = {
  Missing: DriftedResource_Change.MISSING,
  Modified: DriftedResource_Change.MODIFIED,
  NotOwned: DriftedResource_Change.NOT_OWNED,
} as const;

/** The fact that a receipt is. */
export function receiptReport(receipt: PackReceipt): ReceiptReport {
  const { spec, status = {}, metadata } = receipt;
  return {
    receiptName: metadata.name,
    clusterPackRef: spec.clusterPackRef,
    version: spec.version ?? "",
    serial: BigInt(spec.serial ?? 0),
    manifestDigest: spec.manifestDigest ?? "",
    ...(status.verified === undefined ? {} : { verified: status.verified }),
    verificationFailedReason: status.verificationFailedReason ?? "",
    driftStatus: status.driftStatus ?? "",
    driftSummary: status.driftSummary ?? "",
    driftedResources: (status.driftedResources ?? []).map((entry) =>
      create(DriftedResourceSchema, { resource: deployedResource(entry), change: CHANGES[entry.change] }),
    ),
    lastDriftCheckUnixMs: BigInt(status.lastDriftCheckAt === undefined ? 0 : Date.parse(status.lastDriftCheckAt)),
    deployedResources: (spec.deployedResources ?? []).map(deployedResource),
    rbacDigest: spec.rbacDigest ?? "",
    clusterScopedDigest: spec.clusterScopedDigest ?? "",
    workloadDigest: spec.workloadDigest ?? "",
    keyId: status.keyId ?? "",
    receiptUid: metadata.uid ?? "",
    receiptGeneration: BigInt(metadata.generation ?? 0),
    removed: false,
    deliveryState: status.deliveryState ?? "",
  };
}

/** The fact that a pack was removed by a tombstone. */
export function removedReport(
  name: string,
  cluster: { readonly clusterPackRef: string; readonly serial: number },
): ReceiptReport {
  return {
    receiptName: name,
    clusterPackRef: cluster.clusterPackRef,
    version: "",
    serial: BigInt(cluster.serial),
    manifestDigest: "",
    verificationFailedReason: "",
    driftStatus: "",
    driftSummary: "",
    driftedResources: [],
    lastDriftCheckUnixMs: 0n,
    deployedResources: [],
    rbacDigest: "",
    clusterScopedDigest: "",
    workloadDigest: "",
    keyId: "",
    receiptUid: "",
    receiptGeneration: 0n,
    removed: true,
    deliveryState: "Removed",
  };
}

/** Wire form of an inventory entry. */
export function deployedResource(
  ref: Pick<DeployedResourceRef, "apiVersion" | "kind" | "namespace" | "name" | "uid" | "contentHash">,
): DeployedResource {
  const { apiVersion, kind, namespace = "", name, uid = "", contentHash = "" } = ref;
  return create(DeployedResourceSchema, { apiVersion, kind, namespace, name, uid, contentHash });
}

/** Wire form of a drifted object. */
export function driftedResource(drifted: DriftedObject, firstSeenMs: number): DriftedResource {
  return create(DriftedResourceSchema, {
    resource: deployedResource(drifted.resource),
    change: CHANGES[drifted.change],
    paths: [...drifted.paths],
    lastManager: drifted.lastManager,
    firstSeenUnixMs: BigInt(Math.round(firstSeenMs)),
  });
}

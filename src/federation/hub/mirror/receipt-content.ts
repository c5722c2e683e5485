import {
  DriftedResource_Change,
  type PackReceiptReport,
} from "../../../api/gen/conductor/federation/v1alpha1/facts_pb.ts";
import type { ConditionUpdate } from "../../../api/conditions.ts";
import type { DeployedResourceRef } from "../../../api/kinds/deployed-resource-ref.ts";
import type { DriftedResourceRef } from "../../../api/kinds/drifted-resource-ref.ts";
import type { PackReceiptSpec, PackReceiptStatus } from "../../../api/kinds/pack-receipt.ts";
import { signedPackSecretName } from "../../../api/names.ts";
import type { Acknowledgement } from "./acknowledgement.ts";
import { kubernetesTime, safeNumber } from "./wire-time.ts";

/** Most drifted objects of one receipt (resources-seam §4.2). */
const MAX_DRIFTED = 20;
/** Longest summary, characters. */
const MAX_SUMMARY = 4096;

/** The mirror's spec for a report. Pure. */
export function receiptSpec(cluster: string, report: PackReceiptReport): PackReceiptSpec {
  return {
    clusterPackRef: report.clusterPackRef,
    targetClusterRef: cluster,
    packInstanceRef: report.receiptName,
    signatureRef: signedPackSecretName(cluster, report.receiptName),
    ...optional("version", report.version),
    serial: safeNumber(report.serial),
    ...optional("manifestDigest", report.manifestDigest),
    ...optional("rbacDigest", report.rbacDigest),
    ...optional("clusterScopedDigest", report.clusterScopedDigest),
    ...optional("workloadDigest", report.workloadDigest),
    deployedResources: report.deployedResources.map((resource): DeployedResourceRef => ({
      apiVersion: resource.apiVersion,
      kind: resource.kind,
      name: resource.name,
      ...optional("namespace", resource.namespace),
      ...optional("uid", resource.uid),
      ...optional("contentHash", resource.contentHash),
    })),
  };
}

/** The fields of the mirror's status that come from a report and from comparing it with what was signed. Pure. */
export function receiptStatus(
  report: PackReceiptReport,
  acknowledgement: Acknowledgement,
  before: PackReceiptStatus | undefined,
  nowText: string,
): Omit<PackReceiptStatus, "conditions" | "delivery"> {
  const acknowledged = acknowledgement.state === "acknowledged";
  const checkedAt = kubernetesTime(report.lastDriftCheckUnixMs);
  return {
    ...(report.verified === undefined ? {} : { verified: report.verified }),
    ...optional("keyId", report.keyId),
    ...optional("verificationFailedReason", report.verificationFailedReason),
    acknowledged,
    degradedSecurityState: acknowledgement.state === "degraded",
    ...(acknowledgement.state === "degraded" ? { degradedReason: acknowledgement.reason } : {}),
    ...(acknowledged ? { acknowledgedAt: before?.acknowledgedAt ?? nowText } : {}),
    ...driftStatus(report.driftStatus),
    ...optional("driftSummary", report.driftSummary.slice(0, MAX_SUMMARY)),
    ...(report.driftedResources.length === 0 ? {} : { driftedResources: drifted(report) }),
    ...(checkedAt === undefined ? {} : { lastDriftCheckAt: checkedAt }),
    ...optional("deliveryState", report.deliveryState),
    observedGeneration: safeNumber(report.receiptGeneration),
  };
}

/** The mirror's conditions (resources-seam §4.2). Pure. */
export function receiptConditions(report: PackReceiptReport): readonly ConditionUpdate[] {
  const delivered = report.deliveryState === "Applied" || report.deliveryState === "Healthy";
  return [
    verifiedCondition(report),
    driftedCondition(report),
    {
      type: "Delivered",
      status: delivered ? "True" : "False",
      reason: delivered ? report.deliveryState : "NotDelivered",
      message: delivered ? "" : report.deliveryState,
    },
  ];
}

function verifiedCondition(report: PackReceiptReport): ConditionUpdate {
  if (report.verified === undefined)
    return {
      type: "Verified",
      status: "Unknown",
      reason: report.verificationFailedReason === "" ? "NotChecked" : "KeyNotMounted",
    };
  return report.verified
    ? { type: "Verified", status: "True", reason: "SignatureVerified" }
    : { type: "Verified", status: "False", reason: "SignatureVerifyFailed", message: report.verificationFailedReason };
}

function driftedCondition(report: PackReceiptReport): ConditionUpdate {
  switch (report.driftStatus) {
    case "InSync":
      return { type: "Drifted", status: "False", reason: "NoDrift" };
    case "Drifted":
      return { type: "Drifted", status: "True", reason: "DriftDetected", message: report.driftSummary };
    default:
      return { type: "Drifted", status: "Unknown", reason: "CheckFailed", message: report.driftSummary };
  }
}

function driftStatus(text: string): Pick<PackReceiptStatus, "driftStatus"> {
  return text === "InSync" || text === "Drifted" || text === "Unknown" ? { driftStatus: text } : {};
}

function drifted(report: PackReceiptReport): readonly DriftedResourceRef[] {
  return report.driftedResources.slice(0, MAX_DRIFTED).flatMap(({ resource, change }) => {
    const text = CHANGES[change];
    if (resource === undefined || text === undefined) return [];
    const { apiVersion, kind, name, namespace } = resource;
    return [{ apiVersion, kind, name, ...optional("namespace", namespace), change: text }];
  });
}

const CHANGES: Readonly<Record<DriftedResource_Change, DriftedResourceRef["change"] | undefined>> = {
  [DriftedResource_Change.UNSPECIFIED]: undefined,
  [DriftedResource_Change.MISSING]: "Missing",
  [DriftedResource_Change.MODIFIED]: "Modified",
  [DriftedResource_Change.NOT_OWNED]: "NotOwned",
};

/** A member only when the text is not empty: protobuf has no absent strings. */
function optional<K extends string>(key: K, value: string): { readonly [P in K]?: string } {
  return value === "" ? {} : ({ [key]: value } as { readonly [P in K]?: string });
}

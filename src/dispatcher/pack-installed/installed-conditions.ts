import { type ConditionUpdate, isTrue } from "../../api/conditions.ts";
import type { PackInstalled } from "../../api/kinds/pack-installed.ts";
import type { PackReceipt } from "../../api/kinds/pack-receipt.ts";
import { progressText, reportAbout } from "../delivery-progress.ts";

/** A receipt whose last drift check is older says nothing about now (dispatcher §6.1). */
export const RECEIPT_STALE_MS = 300_000;

/** What the conditions of a PackInstalled follow from. */
export interface InstalledView {
  readonly installed: PackInstalled;
  readonly receipt: PackReceipt | undefined;
  /** PackInstalled of every base pack in `dependsOn`, in order; undefined where there is none. */
  readonly dependencies: readonly { readonly name: string; readonly installed: PackInstalled | undefined }[];
  readonly revoked: boolean;
  readonly channelDegraded: boolean;
  /** Wall clock, Unix milliseconds. */
  readonly nowMs: number;
}

/** Conditions and drift fields, security first (dispatcher §6.1). Pure. */
export function installedConditions(view: InstalledView): readonly ConditionUpdate[] {
  const { installed, receipt } = view;
  const delivered = (installed.status?.deliveredRevision ?? 0) > 0;
  const current = receipt !== undefined && isAboutCurrent(installed, receipt);
  const violation = receipt === undefined ? undefined : securityViolation(installed, receipt);
  const drifted = drift(view, current);
  const dependency = dependencyBlocked(view);
  const waiting = waitingFor(view);
  const acknowledged = current && receipt.status?.verified === true && receipt.status.acknowledged === true;
  return [
    delivered
      ? { type: "Delivered", status: "True", reason: "JobSucceeded" }
      : { type: "Delivered", status: "False", reason: "AwaitingDelivery", message: waiting },
    acknowledged
      ? { type: "Acknowledged", status: "True", reason: "PackReceiptReady" }
      : { type: "Acknowledged", status: "False", reason: "PackReceiptNotFound" },
    acknowledged
      ? { type: "Progressing", status: "False", reason: "PackDelivered" }
      : { type: "Progressing", status: "True", reason: "PackReceiptNotFound" },
    violation === undefined
      ? { type: "SecurityViolation", status: "False", reason: "SecurityViolationCleared" }
      : { type: "SecurityViolation", status: "True", ...violation },
    drifted,
    dependency,
    ...(view.revoked ? [{ type: "PackRevoked", status: "True", reason: "ClusterPackRevoked" } as const] : []),
    ready(view, { delivered, waiting, acknowledged, violation, drifted, dependency }),
  ];
}

function waitingFor({ installed, receipt }: InstalledView): string {
  const { manifestDigest } = installed.status ?? {};
  return manifestDigest === undefined
    ? "waits for the signed manifest"
    : progressText(reportAbout(receipt, manifestDigest));
}

/** True when the receipt speaks of the manifest that is signed now. */
export function isAboutCurrent(installed: PackInstalled, receipt: PackReceipt): boolean {
  const { serial, manifestDigest } = installed.status ?? {};
  return serial !== undefined && receipt.spec.serial === serial && receipt.spec.manifestDigest === manifestDigest;
}

function securityViolation(
  installed: PackInstalled,
  receipt: PackReceipt,
): { readonly reason: string; readonly message: string } | undefined {
  const { status, spec } = receipt;
  if (status?.verified === false)
    return { reason: "SignatureVerifyFailed", message: status.verificationFailedReason ?? "" };
  // Only once the tenant acknowledged the current manifest: before that it rightly holds the old one.
  if (!isAboutCurrent(installed, receipt)) return undefined;
  if (status?.degradedSecurityState === true)
    return { reason: "ReceiptMismatch", message: status.degradedReason ?? "" };
  if (spec.version !== installed.spec.version || (spec.workloadDigest ?? "") !== (installed.spec.workloadDigest ?? ""))
    return { reason: "ReceiptMismatch", message: "the receipt names another version or other digests" };
  return undefined;
}

function drift(view: InstalledView, current: boolean): ConditionUpdate {
  const { receipt, channelDegraded, nowMs } = view;
  const { driftStatus, driftSummary, lastDriftCheckAt } = receipt?.status ?? {};
  if (receipt === undefined || !current) return { type: "Drifted", status: "Unknown", reason: "DriftUnknown" };
  const checkedMs = lastDriftCheckAt === undefined ? undefined : Date.parse(lastDriftCheckAt);
  // Checks are reported on change and at least hourly: age alone counts only while the channel is down.
  if (channelDegraded && (checkedMs === undefined || nowMs - checkedMs > RECEIPT_STALE_MS))
    return { type: "Drifted", status: "Unknown", reason: "ReceiptStale" };
  switch (driftStatus) {
    case "Drifted":
      return { type: "Drifted", status: "True", reason: "DriftDetected", message: driftSummary ?? "" };
    case "InSync":
      return { type: "Drifted", status: "False", reason: "NoDrift" };
    default:
      return { type: "Drifted", status: "Unknown", reason: "DriftUnknown" };
  }
}

function dependencyBlocked(view: InstalledView): ConditionUpdate {
  const policy = view.installed.spec.dependencyPolicy?.onDrift ?? "Warn";
  const none: ConditionUpdate = { type: "DependencyBlocked", status: "False", reason: "NoBlockingDependency" };
  if (policy === "Ignore") return none;
  const missing = view.dependencies.filter(({ installed }) => installed === undefined).map(({ name }) => name);
  const bad = view.dependencies
    .filter(
      ({ installed }) =>
        isTrue(installed?.status?.conditions, "Drifted") || isTrue(installed?.status?.conditions, "SecurityViolation"),
    )
    .map(({ name }) => name);
  if (missing.length === 0 && bad.length === 0) return none;
  const message = [...missing.map((name) => `${name} is missing`), ...bad.map((name) => `${name} has drifted`)].join(
    ", ",
  );
  if (policy === "Warn") return { type: "DependencyBlocked", status: "False", reason: "DependencyDrifted", message };
  return {
    type: "DependencyBlocked",
    status: "True",
    reason: bad.length > 0 ? "DependencyDrifted" : "DependencyMissing",
    message,
  };
}

function ready(
  view: InstalledView,
  parts: {
    readonly delivered: boolean;
    readonly waiting: string;
    readonly acknowledged: boolean;
    readonly violation: { readonly reason: string; readonly message: string } | undefined;
    readonly drifted: ConditionUpdate;
    readonly dependency: ConditionUpdate;
  },
): ConditionUpdate {
  const no = (reason: string, message = ""): ConditionUpdate => ({ type: "Ready", status: "False", reason, message });
  if (parts.violation !== undefined) return no("SignatureVerifyFailed", parts.violation.message);
  if (view.revoked) return no("PackRevoked");
  if (!parts.delivered) return no("AwaitingDelivery", parts.waiting);
  if (parts.drifted.status === "True") return no("DriftDetected", parts.drifted.message);
  if (parts.dependency.status === "True") return no("DependencyDrifted", parts.dependency.message);
  return { type: "Ready", status: "True", reason: parts.acknowledged ? "PackReceiptReady" : "PackDelivered" };
}

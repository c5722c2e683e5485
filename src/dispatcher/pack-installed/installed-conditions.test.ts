import { describe, expect, it } from "vitest";
import type { Condition } from "../../api/kinds/condition.ts";
import type { PackInstalled, PackInstalledSpec } from "../../api/kinds/pack-installed.ts";
import type { PackReceipt, PackReceiptStatus } from "../../api/kinds/pack-receipt.ts";
import { type InstalledView, installedConditions } from "./installed-conditions.ts";

const DIGEST = `sha256:${"1".repeat(64)}`;
const NOW = Date.UTC(2026, 0, 1, 12);

function installed(spec: Partial<PackInstalledSpec> = {}, conditions: readonly Condition[] = []): PackInstalled {
  return {
    apiVersion: "seam.ontai.dev/v1alpha1",
    kind: "PackInstalled",
    metadata: { name: "hello-c", namespace: "seam-tenant-c" },
    spec: { clusterPackRef: "hello-v1", version: "v1", targetClusterRef: "c", ...spec },
    status: { serial: 1, manifestDigest: DIGEST, deliveredRevision: 1, conditions },
  };
}

function receipt(status: PackReceiptStatus, version = "v1"): PackReceipt {
  return {
    apiVersion: "seam.ontai.dev/v1alpha1",
    kind: "PackReceipt",
    metadata: { name: "hello-c", namespace: "seam-tenant-c" },
    spec: { clusterPackRef: "hello-v1", targetClusterRef: "c", version, serial: 1, manifestDigest: DIGEST },
    status: { verified: true, acknowledged: true, driftStatus: "InSync", ...status },
  };
}

function say(view: Partial<InstalledView>): Readonly<Record<string, string>> {
  const conditions = installedConditions({
    installed: installed(),
    receipt: receipt({}),
    dependencies: [],
    revoked: false,
    channelDegraded: false,
    nowMs: NOW,
    ...view,
  });
  return Object.fromEntries(conditions.map(({ type, status, reason }) => [type, `${status}/${reason}`]));
}

const drifted: Condition = {
  type: "Drifted",
  status: "True",
  reason: "DriftDetected",
  message: "",
  lastTransitionTime: "2026-01-01T00:00:00Z",
};

describe("installedConditions (dispatcher §6.1)", () => {
  it("says what an undelivered pack waits for", () => {
    const waiting = (status: PackReceiptStatus): readonly (string | undefined)[] =>
      installedConditions({
        installed: { ...installed(), status: { serial: 1, manifestDigest: DIGEST } },
        receipt: receipt(status),
        dependencies: [],
        revoked: false,
        channelDegraded: false,
        nowMs: NOW,
      })
        .filter(({ type }) => type === "Ready" || type === "Delivered")
        .map(({ reason, message }) => `${reason}: ${message ?? ""}`);
    const delivery = { level: "Applied", digest: DIGEST, waitingFor: "Deployment a/web: 0 of 2 available" } as const;
    const text = "AwaitingDelivery: the tenant waits for Deployment a/web: 0 of 2 available";
    expect(waiting({ delivery })).toEqual([text, text]);
    const nack = {
      class: "Busy",
      retryable: true,
      reason: "WorkloadFailed",
      detail: "Deployment a/web failed",
    } as const;
    expect(waiting({ delivery: { ...delivery, nack } })[0]).toBe(
      "AwaitingDelivery: the tenant tries again: WorkloadFailed: Deployment a/web failed",
    );
    expect(waiting({ delivery: { ...delivery, digest: "sha256:other" } })[0]).toBe(
      "AwaitingDelivery: offered to the tenant",
    );
  });

  it("is ready when delivered, with or without a receipt", () => {
    expect(say({})).toMatchObject({
      Ready: "True/PackReceiptReady",
      Drifted: "False/NoDrift",
      Acknowledged: "True/PackReceiptReady",
    });
    expect(say({ receipt: undefined })).toMatchObject({
      Ready: "True/PackDelivered",
      Acknowledged: "False/PackReceiptNotFound",
      Progressing: "True/PackReceiptNotFound",
      Drifted: "Unknown/DriftUnknown",
    });
    const early = { ...installed(), status: { serial: 1, manifestDigest: DIGEST } };
    expect(say({ installed: early })).toMatchObject({
      Ready: "False/AwaitingDelivery",
      Delivered: "False/AwaitingDelivery",
    });
  });

  it("puts security before everything else", () => {
    const violated = receipt({
      verified: false,
      verificationFailedReason: "SIGNATURE_INVALID",
      driftStatus: "Drifted",
    });
    expect(say({ receipt: violated })).toMatchObject({
      SecurityViolation: "True/SignatureVerifyFailed",
      Ready: "False/SignatureVerifyFailed",
    });
    expect(say({ receipt: receipt({ degradedSecurityState: true }) })).toMatchObject({
      SecurityViolation: "True/ReceiptMismatch",
    });
    expect(say({ receipt: receipt({}, "v0") })).toMatchObject({ SecurityViolation: "True/ReceiptMismatch" });
    const { verified: _verified, ...unchecked } = receipt({}).status ?? {};
    expect(say({ receipt: { ...receipt({}), status: unchecked } })).toMatchObject({
      SecurityViolation: "False/SecurityViolationCleared",
    });
  });

  it("does not take a receipt of the version before for a mismatch", () => {
    const old = receipt({}, "v0");
    expect(say({ receipt: { ...old, spec: { ...old.spec, serial: 0 } } })).toMatchObject({
      SecurityViolation: "False/SecurityViolationCleared",
      Acknowledged: "False/PackReceiptNotFound",
    });
  });

  it("shows drift, and that it is not known while the tenant is away", () => {
    expect(say({ receipt: receipt({ driftStatus: "Drifted" }) })).toMatchObject({
      Drifted: "True/DriftDetected",
      Ready: "False/DriftDetected",
    });
    const checked = { lastDriftCheckAt: "2026-01-01T11:00:00Z" };
    expect(say({ receipt: receipt(checked) })).toMatchObject({ Drifted: "False/NoDrift" });
    expect(say({ receipt: receipt(checked), channelDegraded: true })).toMatchObject({
      Drifted: "Unknown/ReceiptStale",
      Ready: "True/PackReceiptReady",
    });
  });

  it("blocks, warns or ignores by the dependency policy", () => {
    const bad = [{ name: "cni", installed: installed({}, [drifted]) }];
    const missing = [{ name: "cni", installed: undefined }];
    const policy = (onDrift: "Block" | "Warn" | "Ignore"): PackInstalled =>
      installed({ dependencyPolicy: { onDrift } });
    expect(say({ installed: policy("Block"), dependencies: bad })).toMatchObject({
      DependencyBlocked: "True/DependencyDrifted",
      Ready: "False/DependencyDrifted",
    });
    expect(say({ installed: policy("Block"), dependencies: missing })).toMatchObject({
      DependencyBlocked: "True/DependencyMissing",
    });
    expect(say({ dependencies: bad })).toMatchObject({
      DependencyBlocked: "False/DependencyDrifted",
      Ready: "True/PackReceiptReady",
    });
    expect(say({ installed: policy("Ignore"), dependencies: bad })).toMatchObject({
      DependencyBlocked: "False/NoBlockingDependency",
    });
  });

  it("is not ready when revoked", () => {
    expect(say({ revoked: true })).toMatchObject({
      PackRevoked: "True/ClusterPackRevoked",
      Ready: "False/PackRevoked",
    });
  });
});

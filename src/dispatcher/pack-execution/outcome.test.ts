import { describe, expect, it } from "vitest";
import type { PackExecution } from "../../api/kinds/pack-execution.ts";
import type { PackInstalled, PackInstalledStatus } from "../../api/kinds/pack-installed.ts";
import type { PackReceipt, PackReceiptStatus } from "../../api/kinds/pack-receipt.ts";
import { outcomeOf } from "./outcome.ts";

const NOW = `sha256:${"1".repeat(64)}`;
const OLD = `sha256:${"0".repeat(64)}`;

const EXECUTION: PackExecution = {
  apiVersion: "seam.ontai.dev/v1alpha1",
  kind: "PackExecution",
  metadata: { name: "hello-v1-c", namespace: "seam-tenant-c", uid: "e1" },
  spec: { clusterPackRef: { name: "hello-v1", version: "v1" }, targetClusterRef: "c" },
  status: { phase: "Running", attempts: 1 },
};

function installed(status: PackInstalledStatus): PackInstalled {
  return {
    apiVersion: "seam.ontai.dev/v1alpha1",
    kind: "PackInstalled",
    metadata: { name: "hello-c", namespace: "seam-tenant-c" },
    spec: { clusterPackRef: "hello-v1", version: "v1", targetClusterRef: "c" },
    status,
  };
}
const SIGNED = installed({ serial: 2, manifestDigest: NOW, signedFor: "e1/1" });

function receipt(status: PackReceiptStatus, serial = 2, manifestDigest = NOW): PackReceipt {
  return {
    apiVersion: "seam.ontai.dev/v1alpha1",
    kind: "PackReceipt",
    metadata: { name: "hello-c", namespace: "seam-tenant-c" },
    spec: { clusterPackRef: "hello-v1", targetClusterRef: "c", serial, manifestDigest },
    status,
  };
}
const HEALTHY: PackReceiptStatus = { verified: true, acknowledged: true, deliveryState: "Healthy" };

describe("outcomeOf", () => {
  it("is delivered only when the manifest of this very attempt is verified, acknowledged and healthy", () => {
    expect(outcomeOf(EXECUTION, SIGNED, receipt(HEALTHY)).state).toBe("delivered");
    expect(outcomeOf(EXECUTION, SIGNED, receipt({ ...HEALTHY, deliveryState: "Applied" })).state).toBe("waiting");
    expect(outcomeOf(EXECUTION, SIGNED, receipt({ ...HEALTHY, acknowledged: false })).state).toBe("waiting");
    expect(outcomeOf(EXECUTION, SIGNED, receipt({ ...HEALTHY, verified: false })).state).toBe("waiting");
    expect(outcomeOf(EXECUTION, SIGNED, receipt(HEALTHY, 1, OLD)).state).toBe("waiting");
    const before = installed({ serial: 1, manifestDigest: OLD, signedFor: "e0/1" });
    expect(outcomeOf(EXECUTION, before, receipt(HEALTHY, 1, OLD)).state).toBe("waiting");
    expect(outcomeOf(EXECUTION, undefined, undefined)).toMatchObject({ message: "waits for the signed manifest" });
  });

  it("is refused by a final nack about this manifest, with category and step", () => {
    const nack = { class: "Untrusted", retryable: false, reason: "SIGNATURE_INVALID" } as const;
    expect(outcomeOf(EXECUTION, SIGNED, receipt({ delivery: { level: "Received", digest: NOW, nack } }))).toEqual({
      state: "refused",
      category: "ValidationFailure",
      reason: "SIGNATURE_INVALID",
      failedStep: "verify",
    });
    expect(outcomeOf(EXECUTION, SIGNED, receipt({ delivery: { level: "Received", digest: OLD, nack } })).state).toBe(
      "waiting",
    );
    const unready = { class: "Conflict", retryable: false, reason: "NotReady", detail: "Deployment a" } as const;
    expect(
      outcomeOf(EXECUTION, SIGNED, receipt({ delivery: { level: "Applied", digest: NOW, nack: unready } })),
    ).toMatchObject({ category: "ExecutionFailure", reason: "NotReady: Deployment a", failedStep: "ready" });
  });

  it("says what it waits for", () => {
    const nack = { class: "Busy", retryable: true, reason: "Later", detail: "disk full" } as const;
    expect(outcomeOf(EXECUTION, SIGNED, receipt({ delivery: { digest: NOW, nack } }))).toEqual({
      state: "waiting",
      message: "the tenant tries again: Later: disk full",
    });
    expect(
      outcomeOf(
        EXECUTION,
        SIGNED,
        receipt({ delivery: { digest: NOW, level: "Applied", waitingFor: "Deployment a" } }),
      ),
    ).toEqual({ state: "waiting", message: "the tenant waits for Deployment a" });
  });
});

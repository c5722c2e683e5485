import { describe, expect, it } from "vitest";
import type { DriftSignal, DriftSignalSpec } from "../../api/kinds/drift-signal.ts";
import type { PackDelivery, PackDeliverySpec } from "../../api/kinds/pack-delivery.ts";
import type { PackExecution } from "../../api/kinds/pack-execution.ts";
import type { PackInstalled } from "../../api/kinds/pack-installed.ts";
import { type Admission, type CorrectionView, admit } from "./admission.ts";

const TIME = "2026-01-01T00:00:00Z";

function signal(spec: Partial<DriftSignalSpec> = {}, terminal = false): DriftSignal {
  return {
    apiVersion: "seam.ontai.dev/v1alpha1",
    kind: "DriftSignal",
    metadata: { name: "drift-hello-c", namespace: "seam-tenant-c" },
    spec: {
      state: "delivered",
      correlationID: "5f0e9b54-7a3a-4c37-9a55-0d4f3a3f6f11",
      observedAt: TIME,
      affectedCRRef: { group: "seam.ontai.dev", kind: "PackDelivery", name: "hello-v1" },
      driftReason: "gone",
      driftClass: "PackResources",
      ...spec,
    },
    ...(terminal
      ? {
          status: {
            conditions: [
              {
                type: "TerminalDrift",
                status: "True",
                reason: "EscalationThresholdReached",
                message: "",
                lastTransitionTime: TIME,
              },
            ],
          },
        }
      : {}),
  };
}

function delivery(
  spec: Partial<PackDeliverySpec> = {},
  annotations: Readonly<Record<string, string>> = {},
): PackDelivery {
  return {
    apiVersion: "seam.ontai.dev/v1alpha1",
    kind: "PackDelivery",
    metadata: { name: "hello-v1", namespace: "seam-system", annotations },
    spec: { version: "v1", registryRef: { url: "r.example/hello", digest: `sha256:${"0".repeat(64)}` }, ...spec },
  };
}

const INSTALLED: PackInstalled = {
  apiVersion: "seam.ontai.dev/v1alpha1",
  kind: "PackInstalled",
  metadata: { name: "hello-c", namespace: "seam-tenant-c" },
  spec: { clusterPackRef: "hello-v1", version: "v1", targetClusterRef: "c" },
  status: { serial: 1 },
};

const RUNNING: PackExecution = {
  apiVersion: "seam.ontai.dev/v1alpha1",
  kind: "PackExecution",
  metadata: { name: "hello-v1-c", namespace: "seam-tenant-c" },
  spec: { clusterPackRef: { name: "hello-v1", version: "v1" }, targetClusterRef: "c" },
  status: { phase: "Running" },
};

function decide(view: Partial<CorrectionView>): Admission {
  return admit({
    signal: signal(),
    installed: INSTALLED,
    delivery: delivery(),
    execution: undefined,
    clusterHold: false,
    channelDegraded: false,
    nowMs: Date.parse(TIME),
    ...view,
  });
}

describe("admit (dispatcher §10.3)", () => {
  it("admits a delivered signal with the correction of its pack", () => {
    expect(decide({})).toEqual({ decision: "admit", jobRef: "seam-correction-hello-c" });
  });

  it("records a running attempt and starts no second one", () => {
    expect(decide({ execution: RUNNING })).toEqual({ decision: "admit", jobRef: "hello-v1-c" });
  });

  it("follows a recorded delivery with a correction when the drift outlives it", () => {
    const recorded = signal({ state: "queued", correctionJobRef: RUNNING.metadata.name });
    expect(decide({ signal: recorded, execution: RUNNING })).toEqual({ decision: "wait" });
    const over = { ...RUNNING, status: { phase: "Succeeded", completedAt: TIME } } as const;
    expect(decide({ signal: recorded, execution: over, nowMs: Date.parse(TIME) + 29_999 })).toEqual({
      decision: "wait",
    });
    const due = { signal: recorded, nowMs: Date.parse(TIME) + 30_000 };
    expect(decide({ ...due, execution: over })).toEqual({ decision: "admit", jobRef: "seam-correction-hello-c" });
    expect(decide({ ...due, execution: undefined })).toEqual({ decision: "admit", jobRef: "seam-correction-hello-c" });
    const corrected = signal({ state: "queued", correctionJobRef: "seam-correction-hello-c" });
    expect(decide({ ...due, signal: corrected })).toEqual({ decision: "ignore" });
  });

  it("ignores what is not its own, not delivered, or given up", () => {
    for (const state of ["pending", "queued", "confirmed"] as const)
      expect(decide({ signal: signal({ state }) })).toEqual({ decision: "ignore" });
    expect(decide({ signal: signal({}, true) })).toEqual({ decision: "ignore" });
    expect(decide({ signal: signal({ driftClass: "TalosVersion" }) })).toEqual({ decision: "ignore" });
    const platform = { group: "seam.ontai.dev", kind: "TalosCluster", name: "c" } as const;
    expect(decide({ signal: signal({ affectedCRRef: platform }) })).toEqual({ decision: "ignore" });
  });

  it("holds where a person or security says so", () => {
    const held = (view: Partial<CorrectionView>, reason: string): void =>
      expect(decide(view)).toEqual({ decision: "held", reason });
    held({ delivery: delivery({ lifecyclePolicies: { driftCorrection: "Manual" } }) }, "Manual");
    held({ delivery: delivery({}, { "seam.ontai.dev/paused": "true" }) }, "Paused");
    held({ delivery: delivery({}, { "seam.ontai.dev/revoke": "key lost" }) }, "Revoked");
    held({ clusterHold: true }, "ClusterHold");
  });

  it("waits while the channel is down or nothing is signed, and says when nothing can be found", () => {
    expect(decide({ channelDegraded: true })).toEqual({ decision: "wait" });
    expect(decide({ installed: { ...INSTALLED, status: {} } })).toEqual({ decision: "wait" });
    expect(decide({ installed: undefined })).toEqual({ decision: "unavailable" });
    expect(decide({ delivery: undefined })).toEqual({ decision: "unavailable" });
  });
});

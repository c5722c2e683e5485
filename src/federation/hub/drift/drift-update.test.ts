import { describe, expect, it } from "vitest";
import type { Condition } from "../../../api/kinds/condition.ts";
import type { DriftSignal, DriftSignalSpec } from "../../../api/kinds/drift-signal.ts";
import { driftUpdate } from "./drift-update.ts";

function signal(
  spec: Partial<DriftSignalSpec>,
  ...conditions: readonly (readonly [string, string, string])[]
): DriftSignal {
  return {
    apiVersion: "seam.ontai.dev/v1alpha1",
    kind: "DriftSignal",
    metadata: { name: "drift-hello-east", namespace: "seam-tenant-east" },
    spec: {
      state: "delivered",
      correlationID: "c1",
      observedAt: "2026-01-01T00:00:00Z",
      affectedCRRef: { group: "seam.ontai.dev", kind: "PackDelivery", name: "hello-v1" },
      driftReason: "Deployment hello/web is missing",
      ...spec,
    },
    status: {
      conditions: conditions.map(([type, reason, message]): Condition => ({
        type,
        status: "True",
        reason,
        message,
        lastTransitionTime: "2026-01-01T00:00:00Z",
      })),
    },
  };
}

describe("driftUpdate", () => {
  it("says what happens about the signal", () => {
    const said = (...parts: Parameters<typeof signal>): string => {
      const { message } = driftUpdate(signal(...parts));
      return message.case === "driftUpdate" ? `${message.value.state}: ${message.value.message}` : "";
    };
    expect([
      said({}),
      said({}, ["CorrectionHeld", "Paused", ""]),
      said({}, ["CorrectionUnavailable", "NotFound", ""]),
      said({ state: "queued", escalationCounter: 1, correctionJobRef: "seam-correction-hello-east" }),
      said({ escalationCounter: 3 }, ["TerminalDrift", "EscalationThresholdReached", "3 corrections failed; act"]),
      said({ state: "confirmed" }),
    ]).toEqual([
      "delivered: waits for a correction",
      "delivered: correction held: Paused",
      "delivered: the pack to correct with was not found",
      "queued: attempt 2 by seam-correction-hello-east",
      "delivered: 3 corrections failed; act",
      "confirmed: in sync again",
    ]);
  });

  it("has one key per signal, so that only the newest word waits", () => {
    const first = driftUpdate(signal({}));
    const second = driftUpdate(signal({ state: "confirmed" }));
    expect([first.key, second.key]).toEqual(["drift/drift-hello-east", "drift/drift-hello-east"]);
    expect(driftUpdate(signal({}, ["TerminalDrift", "EscalationThresholdReached", ""])).message.value).toMatchObject({
      signalName: "drift-hello-east",
      correlationId: "c1",
      terminal: true,
    });
  });
});

import { describe, expect, it } from "vitest";
import { isTrue, mergeConditions } from "./conditions.ts";

const T0 = Date.UTC(2026, 0, 1);

describe("mergeConditions", () => {
  it("adds, and moves the transition time only when status flips", () => {
    const first = mergeConditions(undefined, [{ type: "Ready", status: "False", reason: "AwaitingDelivery" }], T0);
    expect(first).toEqual([
      {
        type: "Ready",
        status: "False",
        reason: "AwaitingDelivery",
        message: "",
        lastTransitionTime: "2026-01-01T00:00:00Z",
      },
    ]);
    const sameStatus = mergeConditions(
      first,
      [{ type: "Ready", status: "False", reason: "DriftDetected", message: "1 object" }],
      T0 + 5000,
    );
    expect(sameStatus[0]).toMatchObject({ reason: "DriftDetected", lastTransitionTime: "2026-01-01T00:00:00Z" });
    const flipped = mergeConditions(
      sameStatus,
      [{ type: "Ready", status: "True", reason: "PackDelivered" }],
      T0 + 9000,
    );
    expect(flipped[0]).toMatchObject({ status: "True", lastTransitionTime: "2026-01-01T00:00:09Z" });
    expect(isTrue(flipped, "Ready")).toBe(true);
  });

  it("returns the same list when nothing changes and keeps foreign entries", () => {
    const list = mergeConditions(
      undefined,
      [
        { type: "LineageSynced", status: "False", reason: "LineageControllerAbsent" },
        { type: "Ready", status: "True", reason: "PackDelivered" },
      ],
      T0,
    );
    expect(mergeConditions(list, [{ type: "Ready", status: "True", reason: "PackDelivered" }], T0 + 60_000)).toBe(list);
    const next = mergeConditions(list, [{ type: "Ready", status: "True", reason: "PackReceiptReady" }], T0 + 60_000);
    expect(next[0]).toBe(list[0]);
  });
});

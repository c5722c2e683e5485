import { describe, expect, it } from "vitest";
import { CONDITION_VOCABULARY, unknownConditions } from "./condition-vocabulary.ts";

describe("condition vocabulary (resources-seam §13)", () => {
  it("holds only types and reasons that the API server accepts", () => {
    for (const [kind, vocabulary] of Object.entries(CONDITION_VOCABULARY))
      for (const [type, reasons] of Object.entries(vocabulary)) {
        expect(`${kind} ${type}`).toMatch(/^[A-Z][A-Za-z]+ [A-Z][A-Za-z]+$/);
        expect(reasons.filter((reason) => !/^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$/.test(reason))).toEqual([]);
        expect(new Set(reasons).size).toBe(reasons.length);
      }
  });

  it("names what it does not know", () => {
    const said = (type: string, reason: string) =>
      unknownConditions({
        apiVersion: "seam.ontai.dev/v1alpha1",
        kind: "PackInstalled",
        metadata: { name: "a" },
        status: {
          conditions: [{ type, status: "True", reason, message: "", lastTransitionTime: "2026-01-01T00:00:00Z" }],
        },
      });
    expect(said("Ready", "PackDelivered")).toEqual([]);
    expect(said("Ready", "Invented")).toEqual(["Ready=True/Invented"]);
    expect(said("Invented", "PackDelivered")).toEqual(["Invented=True/PackDelivered"]);
  });
});

import { describe, expect, it } from "vitest";
import { ApiStatusError } from "./api-status-error.ts";
import { errorOfStatus, statusDocument } from "./status-document.ts";

describe("status documents", () => {
  it("carry a refusal there and back", () => {
    const refusal = new ApiStatusError(422, "Invalid", 'Widget "w" is invalid', {
      name: "w",
      group: "example.com",
      kind: "Widget",
      causes: [{ reason: "FieldValueRequired", message: "Required value", field: "spec.size" }],
    });
    const back = errorOfStatus(422, JSON.parse(JSON.stringify(statusDocument(refusal))));
    expect(back).toEqual(refusal);
    expect(back.details).toEqual(refusal.details);
  });

  it("quote what a proxy said instead", () => {
    expect(errorOfStatus(503, "<html>no upstream</html>")).toMatchObject({
      code: 503,
      reason: "ServiceUnavailable",
      message: "<html>no upstream</html>",
    });
    expect(errorOfStatus(429, "", 7)).toMatchObject({
      reason: "TooManyRequests",
      message: "the server answered with HTTP status 429",
      details: { retryAfterSeconds: 7 },
    });
  });

  it("survive unknown reasons and causes that are none", () => {
    const document = {
      kind: "Status",
      apiVersion: "v1",
      code: 409,
      reason: "New",
      message: "m",
      details: { causes: [1, {}] },
    };
    expect(errorOfStatus(409, document)).toMatchObject({ reason: "Conflict", details: { causes: [{ message: "" }] } });
  });
});

import { describe, expect, it } from "vitest";
import { negotiate, negotiateDocument } from "./negotiation.ts";

describe("negotiate", () => {
  it.each([
    [undefined, "json", "object"],
    ["*/*", "json", "object"],
    ["application/yaml", "yaml", "object"],
    ["application/vnd.kubernetes.protobuf,application/json", "json", "object"],
    ["application/json;as=Table;v=v1;g=meta.k8s.io,application/json", "json", "Table"],
    ["application/json;as=Table;v=v7;g=meta.k8s.io,application/json", "json", "object"],
    ["application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io", "json", "PartialObjectMetadata"],
    ["application/json;q=0.1,application/yaml;q=0.9", "yaml", "object"],
  ])("%s", (accept, encoding, as) => {
    expect(negotiate(accept)).toMatchObject({ encoding, as });
  });

  it("refuses what it cannot make", () => {
    expect(() => negotiate("application/vnd.kubernetes.protobuf")).toThrow("406: Not Acceptable");
    expect(() => negotiate("application/json;q=0")).toThrow("406: Not Acceptable");
  });
});

describe("negotiateDocument", () => {
  const offers = [
    { name: "v2", type: "application/json", parameters: { g: "g", v: "v2", as: "List" } },
    { name: "plain", type: "application/json", parameters: {} },
  ] as const;

  it("matches all parameters that name a form", () => {
    expect(negotiateDocument("application/json;g=g;v=v2;as=List", offers)).toBe("v2");
    expect(negotiateDocument("application/json;g=g;v=v3;as=List,application/json", offers)).toBe("plain");
    expect(negotiateDocument(undefined, offers)).toBe("plain");
  });
});

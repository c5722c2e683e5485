import { describe, expect, it } from "vitest";
import { compareVersions } from "./version-order.ts";

describe("compareVersions", () => {
  it("orders as SemVer, with revisions after the release", () => {
    const ascending = [
      "v1.0.0-alpha",
      "v1.0.0-alpha.1",
      "v1.0.0-alpha.beta",
      "1.0.0-beta.2",
      "v1.0.0-beta.11",
      "v1.0.0-rc.1",
      "v1.0.0-rc.1-r2",
      "v1.0.0",
      "v1.0.0-r1",
      "v1.0.0-r10",
      "v1.2.0",
      "v1.10.0",
      "2.0.0",
    ];
    for (let i = 0; i < ascending.length; i++)
      for (let j = 0; j < ascending.length; j++)
        expect(compareVersions(ascending[i] ?? "", ascending[j] ?? ""), `${ascending[i]} ${ascending[j]}`).toBe(
          Math.sign(i - j),
        );
  });

  it("ignores a leading v and build metadata, and does not guess about anything else", () => {
    expect(compareVersions("v1.0.0", "1.0.0+build")).toBe(0);
    expect(compareVersions("latest", "latest")).toBe(0);
    expect(compareVersions("latest", "v1.0.0")).toBeUndefined();
  });
});

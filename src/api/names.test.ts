import { describe, expect, it } from "vitest";
import {
  clusterOfNamespace,
  labelValue,
  packExecutionName,
  packInstalledName,
  packLogName,
  tenantNamespace,
} from "./names.ts";

describe("object names", () => {
  it("are formed as the specification says", () => {
    expect(tenantNamespace("edge-east")).toBe("seam-tenant-edge-east");
    expect(packExecutionName("metrics-agent-v2.3.0-r1", "edge-east")).toBe("metrics-agent-v2.3.0-r1-edge-east");
    expect(packInstalledName("metrics-agent", "edge-east")).toBe("metrics-agent-edge-east");
    expect(packLogName("metrics-agent-edge-east", 4)).toBe("pack-deploy-result-metrics-agent-edge-east-r4");
  });

  it("get a hashed suffix where the parts do not make a DNS subdomain, and stay distinct", () => {
    const long = packInstalledName("p".repeat(300), "edge");
    expect(long.length).toBeLessThanOrEqual(253);
    expect(packInstalledName("p".repeat(301), "edge")).not.toBe(long);
    for (const odd of ["A_b", "x+y", "a..b", "-", "a.-b"])
      expect(packInstalledName(odd, "edge")).toMatch(
        /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/,
      );
    expect(packInstalledName("x+y", "edge")).not.toBe(packInstalledName("x-y", "edge"));
  });

  it("refuse a cluster name that leaves no room", () => {
    expect(() => tenantNamespace("c".repeat(41))).toThrow("a DNS label of at most 40 characters");
    expect(() => tenantNamespace("Edge")).toThrow("choose a shorter or simpler cluster name");
  });

  it("give the cluster of a tenant namespace back", () => {
    expect(clusterOfNamespace("seam-tenant-edge")).toBe("edge");
    expect(clusterOfNamespace("seam-system")).toBeUndefined();
    expect(clusterOfNamespace("seam-tenant-")).toBeUndefined();
    expect(clusterOfNamespace(undefined)).toBeUndefined();
  });
});

describe("labelValue", () => {
  it("keeps legal text and makes the rest legal and distinct", () => {
    expect(labelValue("v1.2.3-r1")).toBe("v1.2.3-r1");
    expect(labelValue("v1.2.3+build")).toMatch(/^v1\.2\.3-build-[0-9a-f]{10}$/);
    expect(labelValue("system:serviceaccount:ns:name")).toMatch(/^system-serviceaccount-ns-name-[0-9a-f]{10}$/);
    for (const text of ["x".repeat(200), "++", ":a:", "a".repeat(52) + "-"])
      expect(labelValue(text)).toMatch(/^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$/);
    expect(labelValue("x".repeat(200))).not.toBe(labelValue("x".repeat(201)));
  });
});

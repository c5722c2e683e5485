import { expect, it } from "vitest";
import { compileCacheDirectory } from "./compile-cache-directory.ts";

it("keeps a tenant's compiled code beside its snapshots, unless Node was told where, or that there is none", () => {
  const tenant = { CONDUCTOR_ROLE: "tenant" };
  expect(compileCacheDirectory(tenant)).toBe("/var/lib/conductor/compile-cache");
  expect(compileCacheDirectory({ ...tenant, SNAPSHOT_DIR: "/data/t1/snapshots" })).toBe("/data/t1/compile-cache");
  expect(compileCacheDirectory({ ...tenant, NODE_COMPILE_CACHE: "/cache" })).toBeUndefined();
  expect(compileCacheDirectory({ ...tenant, NODE_COMPILE_CACHE: "" })).toBeUndefined();
  expect(compileCacheDirectory({ CONDUCTOR_ROLE: "management" })).toBeUndefined();
});

import { describe, expect, it } from "vitest";
import { requestTarget } from "./request-target.ts";

const resource = (parts: object) => ({
  type: "resource",
  group: "",
  version: "v1",
  namespace: "",
  resource: "",
  name: "",
  subresource: "",
  ...parts,
});

describe("requestTarget", () => {
  it.each([
    ["/api/v1/pods", { resource: "pods" }],
    ["/api/v1/nodes/n/status", { resource: "nodes", name: "n", subresource: "status" }],
    ["/api/v1/namespaces", { resource: "namespaces" }],
    ["/api/v1/namespaces/a", { resource: "namespaces", name: "a" }],
    ["/api/v1/namespaces/a/status", { resource: "namespaces", name: "a", subresource: "status" }],
    ["/api/v1/namespaces/a/finalize", { resource: "namespaces", name: "a", subresource: "finalize" }],
    ["/api/v1/namespaces/a/status/b", { resource: "status", namespace: "a", name: "b" }],
    ["/api/v1/namespaces/a/pods/b/log", { resource: "pods", namespace: "a", name: "b", subresource: "log" }],
    ["/apis/apps/v1/namespaces/a/deployments/b", { group: "apps", namespace: "a", resource: "deployments", name: "b" }],
    ["/apis/x.io/v1/roles/a%3Ab", { group: "x.io", resource: "roles", name: "a:b" }],
  ])("reads %s", (path, parts) => {
    expect(requestTarget(path)).toEqual(resource(parts));
  });

  it.each([
    "/",
    "/api",
    "/api/v1",
    "/apis",
    "/apis/apps",
    "/apis/apps/v1",
    "/openapi/v3/apis/apps/v1",
    "/api/v1/a/b/c/d",
  ])("leaves %s a path", (path) => {
    expect(requestTarget(path)).toEqual({ type: "path", path });
  });

  it("refuses malformed escapes", () => {
    expect(() => requestTarget("/api/v1/pods/%zz")).toThrow('invalid URL escape in path segment "%zz"');
  });
});

import { describe, expect, it } from "vitest";
import { queryText, resourcePath } from "./resource-path.ts";

const pods = { group: "", version: "v1", resource: "pods", kind: "Pod", namespaced: true };
const roles = {
  group: "rbac.authorization.k8s.io",
  version: "v1",
  resource: "clusterroles",
  kind: "ClusterRole",
  namespaced: false,
};

describe("resourcePath", () => {
  it("names collections, objects and subresources", () => {
    expect(resourcePath(pods, {})).toBe("/api/v1/pods");
    expect(resourcePath(pods, { namespace: "a" })).toBe("/api/v1/namespaces/a/pods");
    expect(resourcePath(pods, { namespace: "a", name: "b", subresource: "status" })).toBe(
      "/api/v1/namespaces/a/pods/b/status",
    );
    expect(resourcePath(roles, { namespace: "ignored", name: "system:x" })).toBe(
      "/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Ax",
    );
  });

  it("refuses names that would change the path", () => {
    expect(() => resourcePath(pods, { namespace: "a", name: ".." })).toThrow("a path segment is a name");
    expect(() => resourcePath(pods, { namespace: "a", name: "" })).toThrow("a path segment is a name");
    expect(resourcePath(pods, { namespace: "a/b" })).toBe("/api/v1/namespaces/a%2Fb/pods");
  });
});

describe("queryText", () => {
  it("leaves out what is absent and escapes the rest", () => {
    expect(queryText({ a: undefined, b: "", c: false })).toBe("");
    expect(queryText({ labelSelector: "a in (b,c)", limit: 0, watch: true })).toBe(
      "?labelSelector=a%20in%20(b%2Cc)&limit=0&watch=true",
    );
  });
});

import { describe, expect, it } from "vitest";
import { builtInSchemas } from "./built-in-schemas.ts";
import { UnknownMembers } from "./unknown-members.ts";

describe("members that a built-in kind does not have", () => {
  const members = new UnknownMembers(builtInSchemas());
  const container = { name: "c", image: "x", imagePullPolcy: "Always", env: [{ name: "A", valu: "1" }] };
  const deployment = {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "d", labels: { any: "thing" }, annotation: {} },
    spec: { replica: 3, template: { spec: { containers: [container], nodeSelector: { free: "key" } } } },
  };

  it("are dropped and named by their paths; maps keep any key", () => {
    expect(members.check(deployment, "apps/v1", "Deployment", false)).toEqual({
      value: {
        apiVersion: "apps/v1",
        kind: "Deployment",
        metadata: { name: "d", labels: { any: "thing" } },
        spec: {
          template: {
            spec: { containers: [{ name: "c", image: "x", env: [{ name: "A" }] }], nodeSelector: { free: "key" } },
          },
        },
      },
      unknown: [
        "metadata.annotation",
        "spec.replica",
        "spec.template.spec.containers[0].imagePullPolcy",
        "spec.template.spec.containers[0].env[0].valu",
      ],
    });
  });

  it("are told from the directives and nulls of a patch", () => {
    const patch = {
      spec: {
        template: { spec: { $setElementOrder: [], containers: [{ $patch: "delete", name: "c" }], volumes: null } },
      },
    };
    expect(members.check(patch, "apps/v1", "Deployment", true)).toEqual({ value: patch, unknown: [] });
    expect(members.check(patch, "apps/v1", "Deployment", false).unknown).toHaveLength(2);
  });

  it("cannot poison, and are nobody's business in custom kinds", () => {
    const hostile = JSON.parse('{"data":{"__proto__":"x"},"__proto__":{"polluted":true}}') as Record<string, never>;
    const { value, unknown } = members.check(hostile, "v1", "ConfigMap", false);
    expect(JSON.stringify(value)).toBe('{"data":{"__proto__":"x"}}');
    expect(unknown).toEqual(["__proto__"]);
    expect(members.check({ anything: 1 }, "example.com/v1", "Widget", false)).toEqual({
      value: { anything: 1 },
      unknown: [],
    });
  });
});

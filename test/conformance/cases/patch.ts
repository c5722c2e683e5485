import { keyOf } from "../../../src/api/object.ts";
import { expect, it } from "vitest";
import { ConfigMap, Deployment } from "../../../src/api/builtin.ts";
import type { Patch } from "../../../src/cluster/cluster.ts";
import { type Harness, refusal } from "../harness.ts";

export function patchCases(h: Harness): void {
  const map = async (data: Record<string, string>) => {
    const namespace = await h.namespace();
    const object = await h.cluster().create(ConfigMap, {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "m", namespace },
      data,
    });
    return { object, patch: (patch: Patch) => h.cluster().patch(ConfigMap, { namespace, name: "m" }, patch) };
  };

  it("merges: sets, replaces and removes by null", async () => {
    const { patch } = await map({ keep: "1", drop: "2" });
    const patched = await patch({ type: "merge", body: { data: { drop: null, add: "3" } } });
    expect(patched.data).toEqual({ keep: "1", add: "3" });
  });

  it("honours a resourceVersion in a merge patch", async () => {
    const { patch, object } = await map({ a: "1" });
    await patch({ type: "merge", body: { data: { a: "2" } } });
    const stale: Patch = {
      type: "merge",
      body: { metadata: { resourceVersion: object.metadata.resourceVersion }, data: { a: "3" } },
    };
    expect((await refusal(patch(stale))).reason).toBe("Conflict");
  });

  it("honours a resourceVersion in an apply patch", async () => {
    const { patch, object } = await map({ a: "1" });
    const apply = (resourceVersion: string | undefined, value: string): Patch => ({
      type: "apply",
      body: {
        apiVersion: "v1",
        kind: "ConfigMap",
        metadata: { name: "m", ...(resourceVersion === undefined ? {} : { resourceVersion }) },
        data: { b: value },
      },
    });
    const manager = { fieldManager: "applier" };
    const to = (value: Patch) => h.cluster().patch(ConfigMap, keyOf(object), value, manager);
    const changed = await to(apply(object.metadata.resourceVersion, "1"));
    expect(changed.data).toEqual({ a: "1", b: "1" });
    expect((await refusal(to(apply(object.metadata.resourceVersion, "2")))).reason).toBe("Conflict");
    await patch({ type: "merge", body: { data: { a: "2" } } });
    expect((await refusal(to(apply(changed.metadata.resourceVersion, "2")))).reason).toBe("Conflict");
    expect((await to(apply(undefined, "3"))).data).toEqual({ a: "2", b: "3" });
  });

  it("runs JSON patches as a whole or not at all", async () => {
    const { patch } = await map({ a: "1" });
    const patched = await patch({
      type: "json",
      body: [
        { op: "test", path: "/data/a", value: "1" },
        { op: "add", path: "/data/b~1c", value: "2" },
        { op: "move", from: "/data/a", path: "/data/d" },
      ],
    }).catch((error: unknown) => error);
    // `b/c` is no valid key of a ConfigMap: the whole patch is refused.
    expect(String(patched)).toContain("a valid config key");
    const moved = await patch({ type: "json", body: [{ op: "move", from: "/data/a", path: "/data/d" }] });
    expect(moved.data).toEqual({ d: "1" });
    const failed = await refusal(
      patch({
        type: "json",
        body: [
          { op: "replace", path: "/data/d", value: "9" },
          { op: "test", path: "/data/d", value: "1" },
        ],
      }),
    );
    expect(failed.code).toBe(422);
    const missing = await refusal(patch({ type: "json", body: [{ op: "remove", path: "/data/nope" }] }));
    expect(missing.code).toBe(422);
  });

  it("merges strategically by merge keys", async () => {
    const namespace = await h.namespace();
    await h.cluster().create(Deployment, {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: "d", namespace },
      spec: {
        selector: { matchLabels: { app: "a" } },
        template: {
          metadata: { labels: { app: "a" } },
          spec: {
            containers: [
              { name: "one", image: "a:1", env: [{ name: "X", value: "1" }], args: ["a", "b"] },
              { name: "two", image: "b:1" },
            ],
          },
        },
      },
    });
    const patched = await h.cluster().patch(
      Deployment,
      { namespace, name: "d" },
      {
        type: "strategic",
        body: {
          spec: {
            template: {
              spec: {
                containers: [
                  { name: "one", image: "a:2", env: [{ name: "Y", value: "2" }], args: ["c"] },
                  { name: "two", $patch: "delete" },
                  { name: "three", image: "c:1" },
                ],
              },
            },
          },
        },
      },
    );
    const { containers } = patched.spec.template.spec;
    expect(containers.map((container) => `${container.name} ${container.image}`).toSorted()).toEqual([
      "one a:2",
      "three c:1",
    ]);
    const one = containers.find((container) => container.name === "one");
    expect(one?.["args"]).toEqual(["c"]);
    expect(one?.["env"]).toEqual(
      expect.arrayContaining([
        { name: "X", value: "1" },
        { name: "Y", value: "2" },
      ]),
    );
    expect(patched.metadata.generation).toBe(2);
  });

  it("scales through the scale subresource", async () => {
    const namespace = await h.namespace();
    await h.cluster().create(Deployment, {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: "d", namespace },
      spec: {
        selector: { matchLabels: { app: "a" } },
        template: { metadata: { labels: { app: "a" } }, spec: { containers: [{ name: "c", image: "a:1" }] } },
      },
    });
    await h
      .cluster()
      .patch(
        Deployment,
        { namespace, name: "d" },
        { type: "merge", body: { spec: { replicas: 7 } } },
        { subresource: "scale" },
      );
    const scaled = await h.cluster().get(Deployment, { namespace, name: "d" });
    expect(scaled.spec.replicas).toBe(7);
  });
}

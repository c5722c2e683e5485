import { expect, it } from "vitest";
import { ConfigMap, Deployment, type DeploymentObject } from "../../../src/api/builtin.ts";
import type { JsonObject } from "../../../src/base/json.ts";
import type { WriteOptions } from "../../../src/cluster/cluster.ts";
import { type Harness, refusal } from "../harness.ts";

interface Variant {
  readonly replicas?: number;
  readonly containers: readonly JsonObject[];
  readonly labels?: JsonObject;
}

function deployment(namespace: string, { replicas, containers, labels }: Variant): JsonObject {
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "d", namespace, ...(labels ? { labels } : {}) },
    spec: {
      ...(replicas === undefined ? {} : { replicas }),
      selector: { matchLabels: { app: "a" } },
      template: { metadata: { labels: { app: "a" } }, spec: { containers } },
    },
  };
}

export function applyCases(h: Harness): void {
  const applier = async () => {
    const namespace = await h.namespace();
    const apply = (manager: string, variant: Variant, options: WriteOptions = {}): Promise<DeploymentObject> =>
      h
        .cluster()
        .patch(
          Deployment,
          { namespace, name: "d" },
          { type: "apply", body: deployment(namespace, variant) },
          { fieldManager: manager, ...options },
        );
    return { namespace, apply };
  };

  it("creates what is missing and records the fields of the configuration only", async () => {
    const { apply } = await applier();
    const created = await apply("one", {
      replicas: 2,
      labels: { team: "a" },
      containers: [{ name: "c", image: "a:1", ports: [{ containerPort: 80 }] }],
    });
    expect(created.spec.replicas).toBe(2);
    expect(created.metadata.managedFields).toHaveLength(1);
    const [entry] = created.metadata.managedFields ?? [];
    expect(entry).toMatchObject({ manager: "one", operation: "Apply", apiVersion: "apps/v1", fieldsType: "FieldsV1" });
    expect(entry?.fieldsV1).toEqual({
      "f:metadata": { "f:labels": { "f:team": {} } },
      "f:spec": {
        "f:replicas": {},
        "f:selector": {},
        "f:template": {
          "f:metadata": { "f:labels": { "f:app": {} } },
          "f:spec": {
            "f:containers": {
              'k:{"name":"c"}': {
                ".": {},
                "f:name": {},
                "f:image": {},
                "f:ports": { 'k:{"containerPort":80,"protocol":"TCP"}': { ".": {}, "f:containerPort": {} } },
              },
            },
          },
        },
      },
    });
  });

  it("writes nothing when the same configuration is applied again", async () => {
    const { apply } = await applier();
    const variant = { replicas: 2, containers: [{ name: "c", image: "a:1" }] };
    const first = await apply("one", variant);
    const second = await apply("one", variant);
    expect(second.metadata.resourceVersion).toBe(first.metadata.resourceVersion);
  });

  it("removes what the manager no longer applies, and keeps the rest", async () => {
    const { apply, namespace } = await applier();
    await apply("one", {
      labels: { a: "1", b: "2" },
      containers: [
        {
          name: "c",
          image: "a:1",
          env: [
            { name: "X", value: "1" },
            { name: "Y", value: "2" },
          ],
        },
        { name: "side", image: "b:1" },
      ],
    });
    await h
      .cluster()
      .patch(
        Deployment,
        { namespace, name: "d" },
        { type: "merge", body: { metadata: { labels: { foreign: "kept" } } } },
        { fieldManager: "somebody" },
      );
    const after = await apply("one", {
      labels: { a: "1" },
      containers: [{ name: "c", image: "a:1", env: [{ name: "Y", value: "2" }] }],
    });
    expect(after.metadata.labels).toEqual({ a: "1", foreign: "kept" });
    expect(after.spec.template.spec.containers.map((container) => container.name)).toEqual(["c"]);
    expect(after.spec.template.spec.containers[0]?.["env"]).toEqual([{ name: "Y", value: "2" }]);
    expect(after.spec.template.spec.containers[0]?.["terminationMessagePath"]).toBe("/dev/termination-log");
  });

  it("keeps fields that another applier owns too", async () => {
    const { apply } = await applier();
    const containers = [{ name: "c", image: "a:1" }];
    await apply("one", { replicas: 3, containers });
    await apply("two", { replicas: 3, containers });
    const after = await apply("one", { containers });
    expect(after.spec.replicas).toBe(3);
    const alone = await apply("two", { containers });
    // Nobody owns the count now: it falls back to its default.
    expect(alone.spec.replicas).toBe(1);
  });

  it("refuses to change what others own, names each field, and takes over by force", async () => {
    const { apply, namespace } = await applier();
    const containers = [{ name: "c", image: "a:1" }];
    await apply("one", { replicas: 1, containers });
    const error = await refusal(apply("two", { replicas: 5, containers: [{ name: "c", image: "a:2" }] }));
    expect([error.code, error.reason]).toEqual([409, "Conflict"]);
    expect(error.message).toBe(
      'Apply failed with 2 conflicts: conflicts with "one":\n- .spec.replicas\n- .spec.template.spec.containers[name="c"].image',
    );
    expect(error.details.causes).toEqual([
      { reason: "FieldManagerConflict", message: 'conflict with "one"', field: ".spec.replicas" },
      {
        reason: "FieldManagerConflict",
        message: 'conflict with "one"',
        field: '.spec.template.spec.containers[name="c"].image',
      },
    ]);
    const unchanged = await h.cluster().get(Deployment, { namespace, name: "d" });
    expect(unchanged.spec.replicas).toBe(1);
    const forced = await apply("two", { replicas: 5, containers: [{ name: "c", image: "a:2" }] }, { force: true });
    expect(forced.spec.replicas).toBe(5);
    const one = forced.metadata.managedFields?.find((entry) => entry.manager === "one");
    expect(JSON.stringify(one?.fieldsV1)).not.toContain("f:replicas");
  });

  it("tracks updates: a changed field goes to its updater and conflicts with the applier", async () => {
    const { apply, namespace } = await applier();
    const containers = [{ name: "c", image: "a:1" }];
    await apply("one", { replicas: 1, containers });
    const edited = await h
      .cluster()
      .patch(
        Deployment,
        { namespace, name: "d" },
        { type: "merge", body: { spec: { replicas: 4 } } },
        { fieldManager: "editor" },
      );
    const entry = edited.metadata.managedFields?.find((other) => other.manager === "editor");
    expect(entry).toMatchObject({ operation: "Update", fieldsV1: { "f:spec": { "f:replicas": {} } } });
    const error = await refusal(apply("one", { replicas: 1, containers }));
    expect(error.message).toMatch(
      /^Apply failed with 1 conflict: conflict with "editor" using apps\/v1.*: \.spec\.replicas$/,
    );
    const given = await apply("one", { containers });
    expect(given.spec.replicas).toBe(4);
  });

  it("records status apart from the rest", async () => {
    const { apply, namespace } = await applier();
    await apply("one", { containers: [{ name: "c", image: "a:1" }] });
    const applied = await h.cluster().patch(
      Deployment,
      { namespace, name: "d" },
      {
        type: "apply",
        body: {
          apiVersion: "apps/v1",
          kind: "Deployment",
          metadata: { name: "d", namespace },
          status: { conditions: [{ type: "Available", status: "True", reason: "Test", message: "" }] },
        },
      },
      { fieldManager: "status-writer", subresource: "status" },
    );
    expect(applied.status?.conditions?.[0]).toMatchObject({ type: "Available", status: "True" });
    const entry = applied.metadata.managedFields?.find((other) => other.manager === "status-writer");
    expect(entry?.subresource).toBe("status");
    expect(Object.keys(entry?.fieldsV1 ?? {})).toEqual(["f:status"]);
  });

  it("needs a field manager and a clean configuration", async () => {
    const namespace = await h.namespace();
    const body = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "m", namespace } };
    const nobody = await refusal(h.cluster().patch(ConfigMap, { namespace, name: "m" }, { type: "apply", body }));
    expect(nobody.message).toContain("fieldManager: Required value: is required for apply patch");
    const other = await refusal(
      h.cluster().patch(ConfigMap, { namespace, name: "other" }, { type: "apply", body }, { fieldManager: "x" }),
    );
    expect(other.code).toBe(400);
  });

  it("merges custom resources by their list types", async () => {
    const type = await h.customResource({
      spec: {
        type: "object",
        properties: {
          ports: {
            type: "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["port", "protocol"],
            items: {
              type: "object",
              required: ["port"],
              properties: {
                port: { type: "integer" },
                protocol: { type: "string", default: "TCP" },
                name: { type: "string" },
              },
            },
          },
          tags: { type: "array", "x-kubernetes-list-type": "set", items: { type: "string" } },
          order: { type: "array", items: { type: "string" } },
          limits: {
            type: "object",
            "x-kubernetes-map-type": "atomic",
            additionalProperties: { type: "string" },
          },
        },
      },
    });
    const namespace = await h.namespace();
    const apply = (manager: string, spec: JsonObject) =>
      h.cluster().patch(
        type,
        { namespace, name: "w" },
        {
          type: "apply",
          body: { apiVersion: `${type.group}/v1`, kind: "Widget", metadata: { name: "w", namespace }, spec },
        },
        { fieldManager: manager },
      );
    await apply("one", { ports: [{ port: 80, name: "http" }], tags: ["a", "b"], order: ["x"], limits: { cpu: "1" } });
    const both = await apply("two", { ports: [{ port: 443, name: "https" }], tags: ["b", "c"] });
    expect(both["spec"]).toEqual({
      ports: [
        { port: 80, protocol: "TCP", name: "http" },
        { port: 443, protocol: "TCP", name: "https" },
      ],
      tags: ["a", "b", "c"],
      order: ["x"],
      limits: { cpu: "1" },
    });
    const less = await apply("one", { tags: ["a"], order: ["x"], limits: { cpu: "1" } });
    expect(less["spec"]).toEqual({
      ports: [{ port: 443, protocol: "TCP", name: "https" }],
      tags: ["a", "b", "c"],
      order: ["x"],
      limits: { cpu: "1" },
    });
    const conflict = await refusal(apply("two", { limits: { memory: "2" } }));
    expect(conflict.message).toContain(".spec.limits");
  });

  it("takes a record of owners that an update brings, as kubectl does to move on from client-side apply", async () => {
    const namespace = await h.namespace();
    const key = { namespace, name: "moved" };
    const created = await h
      .cluster()
      .create(
        ConfigMap,
        { apiVersion: "v1", kind: "ConfigMap", metadata: key, data: { a: "1" } },
        { fieldManager: "before" },
      );
    const [entry] = created.metadata.managedFields ?? [];
    expect(entry).toMatchObject({ manager: "before", operation: "Update" });
    const moved = await h.cluster().patch(
      ConfigMap,
      key,
      {
        type: "json",
        body: [
          { op: "replace", path: "/metadata/managedFields/0/manager", value: "after" },
          { op: "replace", path: "/metadata/managedFields/0/operation", value: "Apply" },
          { op: "replace", path: "/metadata/resourceVersion", value: created.metadata.resourceVersion ?? "" },
        ],
      },
      { fieldManager: "mover" },
    );
    expect(moved.metadata.managedFields).toMatchObject([
      { manager: "after", operation: "Apply", fieldsV1: { "f:data": { "f:a": {} } } },
    ]);
    const reset = await h
      .cluster()
      .patch(ConfigMap, key, { type: "merge", body: { metadata: { managedFields: [{}] } } }, { fieldManager: "mover" });
    expect(reset.metadata.managedFields ?? []).toEqual([]);
    const kept = await h
      .cluster()
      .patch(
        ConfigMap,
        key,
        { type: "merge", body: { data: { b: "2" }, metadata: { managedFields: null } } },
        { fieldManager: "later" },
      );
    expect(kept.metadata.managedFields ?? []).toEqual([]);
    const body = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: key.name }, data: { b: "3" } };
    const contested = await refusal(
      h.cluster().patch(ConfigMap, key, { type: "apply", body }, { fieldManager: "applier" }),
    );
    expect(contested.message).toMatch(
      /^Apply failed with 1 conflict: conflict with "before-first-apply" using v1.*: \.data\.b$/,
    );
  });
}

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { JsonObject } from "../../base/json.ts";
import type { ManagedFieldsEntry, Unstructured } from "../../api/object.ts";
import { compareOwned } from "./compare-owned.ts";
import { jsonPointer } from "./json-pointer.ts";
import { lastManager } from "./last-manager.ts";
import { sameQuantity } from "./quantity.ts";

const ours = (fieldsV1: ManagedFieldsEntry["fieldsV1"]): ManagedFieldsEntry => ({
  manager: "conductor-pack-deploy",
  operation: "Apply",
  apiVersion: "apps/v1",
  fieldsType: "FieldsV1",
  fieldsV1,
});

const DESIRED: JsonObject = {
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "web", namespace: "hello", labels: { app: "web" }, annotations: { note: "1" } },
  spec: {
    replicas: 2,
    template: {
      spec: {
        containers: [
          { name: "main", image: "web:1", args: ["a", "b"], resources: { limits: { cpu: "1000m", memory: "1Gi" } } },
        ],
      },
    },
  },
};

function live(
  change: (object: {
    spec: { replicas: number; template: { spec: { containers: JsonObject[] } } };
    metadata: JsonObject;
  }) => void,
  managedFields: ManagedFieldsEntry[] = [],
): Unstructured {
  const object = structuredClone(DESIRED) as unknown as Parameters<typeof change>[0] & { status?: object };
  object.status = { replicas: 2 };
  object.spec.template.spec.containers.push({ name: "sidecar", image: "injected" });
  object.spec.template.spec.containers[0] = {
    ...object.spec.template.spec.containers[0],
    terminationMessagePath: "/dev/termination-log",
  };
  change(object);
  return { ...object, metadata: { ...object.metadata, managedFields } } as unknown as Unstructured;
}

const paths = (object: Unstructured, desired = DESIRED) => compareOwned(desired, object, 10).map(jsonPointer);

describe("compareOwned", () => {
  it("ignores defaults, status, and entries that others added to keyed lists", () => {
    expect(paths(live(() => {}))).toEqual([]);
  });

  it("compares quantities by value", () => {
    expect(
      paths(
        live((o) => {
          o.spec.template.spec.containers[0] = {
            ...o.spec.template.spec.containers[0],
            resources: { limits: { cpu: "1", memory: "1024Mi" } },
          };
        }),
      ),
    ).toEqual([]);
    const config = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "c" }, data: { limits: "1000m" } };
    expect(paths({ ...config, data: { limits: "1" } } as unknown as Unstructured, config)).toEqual(["/data/limits"]);
  });

  it("names what differs by JSON pointer", () => {
    expect(
      paths(
        live((o) => {
          o.spec.replicas = 5;
          o.spec.template.spec.containers.reverse();
          o.spec.template.spec.containers[1] = {
            ...o.spec.template.spec.containers[1],
            image: "web:evil",
            args: ["a"],
          };
          o.metadata = { name: "web", namespace: "hello", labels: { app: "web" }, annotations: {} };
        }),
      ),
    ).toEqual([
      "/metadata/annotations/note",
      "/spec/replicas",
      "/spec/template/spec/containers/1/image",
      "/spec/template/spec/containers/1/args",
    ]);
  });

  it("merges lists by the keys our managed fields show", () => {
    const service = {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "s" },
      spec: { ports: [{ port: 80, targetPort: 8080 }] },
    };
    const owned = ours({
      "f:spec": { "f:ports": { 'k:{"port":80,"protocol":"TCP"}': { ".": {}, "f:port": {}, "f:targetPort": {} } } },
    });
    const actual = (ports: JsonObject[]) =>
      ({
        ...service,
        metadata: { name: "s", managedFields: [owned] },
        spec: { ports, clusterIP: "10.0.0.1" },
      }) as unknown as Unstructured;
    expect(
      paths(
        actual([
          { port: 443, protocol: "TCP" },
          { port: 80, protocol: "TCP", targetPort: 8080 },
        ]),
        service,
      ),
    ).toEqual([]);
    expect(paths(actual([{ port: 80, protocol: "TCP", targetPort: 9 }]), service)).toEqual([
      "/spec/ports/0/targetPort",
    ]);
    expect(paths(actual([{ port: 443, protocol: "TCP" }]), service)).toEqual(["/spec/ports/0"]);
  });

  it("knows that stringData lives on as data", () => {
    const secret = { apiVersion: "v1", kind: "Secret", metadata: { name: "s" }, stringData: { password: "x" } };
    const actual = (password: string) =>
      ({ apiVersion: "v1", kind: "Secret", metadata: { name: "s" }, data: { password } }) as unknown as Unstructured;
    expect(paths(actual("eA=="), secret)).toEqual([]);
    expect(paths(actual("eQ=="), secret)).toEqual(["/data/password"]);
  });

  it("finds nothing in an object compared with itself, and every change of a scalar the pack sets", () => {
    const json = fc.letrec<{ value: JsonObject }>((tie) => ({
      value: fc.dictionary(
        fc.stringMatching(/^[a-z]{1,4}$/),
        fc.oneof(fc.integer(), fc.string(), fc.boolean(), tie("value")),
        { maxKeys: 4, depthIdentifier: "d" },
      ),
    })).value;
    fc.assert(
      fc.property(json, (spec) => {
        const object = { apiVersion: "v1", kind: "X", metadata: { name: "x" }, spec };
        expect(paths(object as unknown as Unstructured, object)).toEqual([]);
        for (const [name, value] of Object.entries(spec)) {
          if (typeof value === "object") continue;
          const changed = { ...object, spec: { ...spec, [name]: "changed!!!!!!!!!!!!!!" } };
          expect(paths(changed as unknown as Unstructured, object)).toEqual([`/spec/${name}`]);
        }
      }),
      { numRuns: 100 },
    );
  });
});

describe("lastManager", () => {
  const entry = (manager: string, time: string, fieldsV1: ManagedFieldsEntry["fieldsV1"]): ManagedFieldsEntry => ({
    ...ours(fieldsV1),
    manager,
    operation: "Update",
    time,
  });

  it("names who wrote the field, else who wrote last", () => {
    const object = live(() => {}, [
      ours({ "f:spec": { "f:replicas": {} } }),
      entry("kubectl-scale", "2026-01-01T00:00:00Z", { "f:spec": { "f:replicas": {} } }),
      entry("kubectl-edit", "2026-01-02T00:00:00Z", {
        "f:spec": { "f:template": { "f:spec": { "f:containers": { 'k:{"name":"main"}': { "f:image": {} } } } } },
      }),
    ]);
    expect(lastManager(object, [["spec", "replicas"]])).toBe("kubectl-scale");
    expect(lastManager(object, [["spec", "template", "spec", "containers", "0", "image"]])).toBe("kubectl-edit");
    expect(lastManager(object, [["metadata", "labels", "gone"]])).toBe("kubectl-edit");
    expect(
      lastManager(
        live(() => {}),
        [["spec"]],
      ),
    ).toBe("");
  });
});

describe("sameQuantity", () => {
  it.each([
    ["1000m", "1", true],
    ["0.5", "500m", true],
    [0.5, "500m", true],
    ["1Gi", "1024Mi", true],
    ["1G", "1Gi", false],
    ["1e3", "1k", true],
    ["-1", "-1000m", true],
    ["1", "x", false],
    ["", "", false],
  ])("%s and %s: %s", (a, b, same) => {
    expect(sameQuantity(a, b)).toBe(same);
  });
});

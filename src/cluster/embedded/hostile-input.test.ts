import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ConfigMap, CustomResourceDefinition } from "../../api/builtin.ts";
import type { ResourceType } from "../../api/resource-type.ts";
import { systemClock } from "../../base/clock.ts";
import { silentLog } from "../../base/log.ts";
import { systemRandom } from "../../base/random.ts";
import { ApiStatusError } from "../api-status-error.ts";
import type { Patch } from "../cluster.ts";
import { type EmbeddedCluster, openEmbeddedCluster } from "./embedded-cluster.ts";

const OPEN: ResourceType = {
  group: "example.com",
  version: "v1",
  resource: "opens",
  kind: "Open",
  namespaced: false,
};

describe("hostile input to the embedded cluster", () => {
  let directory: string;
  let cluster: EmbeddedCluster;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "seam-hostile-"));
    cluster = await openEmbeddedCluster({ directory, clock: systemClock, random: systemRandom, log: silentLog });
    const schema = { openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true } };
    await cluster.create(CustomResourceDefinition, {
      apiVersion: "apiextensions.k8s.io/v1",
      kind: "CustomResourceDefinition",
      metadata: { name: "opens.example.com" },
      spec: {
        group: "example.com",
        scope: "Cluster",
        names: { plural: "opens", kind: "Open" },
        versions: [{ name: "v1", served: true, storage: true, schema }],
      },
    });
  });
  afterAll(async () => {
    await cluster.close();
    await rm(directory, { recursive: true });
  });

  const create = (name: string, members: object): Promise<unknown> =>
    cluster.create(OPEN, { apiVersion: "example.com/v1", kind: "Open", metadata: { name }, ...members });

  const refusal = async (call: Promise<unknown>): Promise<number> => {
    const result: unknown = await call.catch((error: unknown) => error);
    return result instanceof ApiStatusError ? result.code : 0;
  };

  it("keeps __proto__ as data, through create, patch and apply", async () => {
    const evil: unknown = JSON.parse(
      '{"spec": {"__proto__": {"polluted": true}, "constructor": {"prototype": {"x": 1}}}}',
    );
    await create("proto", Object(evil));
    const read = await cluster.get(OPEN, { name: "proto" });
    expect(JSON.stringify(read["spec"])).toBe('{"__proto__":{"polluted":true},"constructor":{"prototype":{"x":1}}}');
    const bodies: readonly unknown[] = [
      { type: "merge", body: JSON.parse('{"spec": {"__proto__": {"merged": 1}}}') },
      {
        type: "apply",
        body: JSON.parse(
          '{"apiVersion":"example.com/v1","kind":"Open","metadata":{"name":"proto"},"spec":{"__proto__":{"applied":1}}}',
        ),
      },
      { type: "json", body: [{ op: "add", path: "/spec/__proto__/added", value: 1 }] },
    ];
    for (const patch of bodies) {
      await cluster.patch(OPEN, { name: "proto" }, patch as Patch, { fieldManager: "m", force: true });
    }
    expect(Object.hasOwn({}, "polluted")).toBe(false);
    const probe: Record<string, unknown> = {};
    expect([probe["polluted"], probe["merged"], probe["applied"], probe["added"]]).toEqual(Array(4).fill(undefined));
    const patched = await cluster.get(OPEN, { name: "proto" });
    expect(JSON.stringify(patched["spec"])).toContain('"merged":1');
  });

  it("refuses what is no JSON", async () => {
    let deep: object = {};
    for (let i = 0; i < 5_000; i++) deep = { deep };
    expect(await refusal(create("deep", { spec: deep }))).toBe(400);
    expect(await refusal(create("nan", { spec: { n: Number.NaN } }))).toBe(400);
    expect(await refusal(create("date", { spec: { d: new Date() } }))).toBe(400);
    expect(await refusal(create("big", { spec: { b: 1n } }))).toBe(400);
  });

  it("refuses metadata of the wrong shape", async () => {
    const wrong = (metadata: unknown): Promise<number> =>
      refusal(cluster.create(OPEN, Object({ apiVersion: "example.com/v1", kind: "Open", metadata })));
    expect(await wrong({ name: 5 })).toBe(422);
    expect(await wrong({ name: "a", labels: ["x"] })).toBe(422);
    expect(await wrong({ name: "a", labels: { x: 1 } })).toBe(422);
    expect(await wrong({ name: "a", annotations: { big: "x".repeat(300 * 1024) } })).toBe(422);
    expect(await wrong({ name: "a", finalizers: [{}] })).toBe(422);
    expect(await wrong({ name: "a", ownerReferences: [{ kind: "X" }] })).toBe(422);
    expect(await wrong({ name: "a", ownerReferences: "x" })).toBe(422);
    expect(await wrong({ name: "a", finalizers: "x" })).toBe(422);
    expect(await wrong("x")).toBe(422);
    expect(await refusal(create("kind", { kind: "Other" }))).toBe(400);
    expect(await refusal(create("version", { apiVersion: "example.com/v9" }))).toBe(400);
  });

  it("refuses patches and tokens that make no sense", async () => {
    await create("patched", {});
    const patch = (body: unknown): Promise<number> => refusal(cluster.patch(OPEN, { name: "patched" }, Object(body)));
    expect(await patch({ type: "json", body: { not: "a list" } })).toBe(400);
    expect(await patch({ type: "json", body: [{ op: "explode", path: "/x" }] })).toBe(400);
    expect(await patch({ type: "json", body: [{ op: "remove", path: "" }] })).toBe(422);
    expect(await patch({ type: "json", body: [{ op: "replace", path: "", value: 5 }] })).toBe(400);
    expect(await patch({ type: "strategic", body: {} })).toBe(415);
    expect(await refusal(cluster.list(ConfigMap, { limit: 1, continue: "garbage" }))).toBe(400);
    expect(await refusal(cluster.list(ConfigMap, { resourceVersion: "x" }))).toBe(400);
    expect(await refusal(cluster.list(ConfigMap, { resourceVersion: "999999999" }))).toBe(504);
  });
});

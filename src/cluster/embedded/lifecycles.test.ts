import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  ConfigMap,
  CustomResourceDefinition,
  type CustomResourceDefinitionObject,
  Event,
  Namespace,
  Service,
} from "../../api/builtin.ts";
import type { KubeObject } from "../../api/object.ts";
import type { ResourceType } from "../../api/resource-type.ts";
import { ManualClock } from "../../base/clock.ts";
import type { JsonObject } from "../../base/json.ts";
import { silentLog } from "../../base/log.ts";
import { SeededRandom } from "../../base/random.ts";
import { ApiStatusError } from "../api-status-error.ts";
import { type EmbeddedCluster, openEmbeddedCluster } from "./embedded-cluster.ts";
import { EVENT_TTL_MS } from "./garbage-collection/event-expiry.ts";

describe("life cycles of the embedded cluster", () => {
  let directory: string;
  let clock: ManualClock;
  let cluster: EmbeddedCluster;

  const open = (): Promise<EmbeddedCluster> =>
    openEmbeddedCluster({ directory, clock, random: new SeededRandom(3), log: silentLog });

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "seam-lifecycles-"));
    clock = new ManualClock();
    cluster = await open();
  });
  afterEach(async () => {
    await cluster.close();
    await rm(directory, { recursive: true });
  });

  /** Watches until an event of the kind meets the condition. */
  const until = async <T extends KubeObject>(
    type: ResourceType<T>,
    condition: (event: "ADDED" | "MODIFIED" | "DELETED", object: T) => boolean,
  ): Promise<T> => {
    const stop = new AbortController();
    for await (const event of cluster.watch(type, { resourceVersion: "0" }, stop.signal)) {
      if (event.type !== "BOOKMARK" && condition(event.type, event.object)) return event.object;
    }
    throw new Error("the watch ended");
  };

  const crd = (plural: string, kind: string, spec: JsonObject = { type: "object" }) => ({
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.example.com` },
    spec: {
      group: "example.com",
      scope: "Namespaced" as const,
      names: { plural, kind },
      versions: [
        {
          name: "v1",
          served: true,
          storage: true,
          schema: { openAPIV3Schema: { type: "object", properties: { spec } } },
        },
      ],
    },
  });

  it("deletes Events an hour after they were last seen", async () => {
    const involvedObject = { kind: "ConfigMap", name: "a", namespace: "default" };
    const base = { apiVersion: "v1", kind: "Event", involvedObject, reason: "Test", message: "" };
    await cluster.create(Event, { ...base, metadata: { name: "old", namespace: "default" } });
    const recent = new Date(clock.now() + EVENT_TTL_MS / 2).toISOString();
    await cluster.create(Event, { ...base, metadata: { name: "new", namespace: "default" }, lastTimestamp: recent });
    const gone = until(Event, (type) => type === "DELETED");
    await clock.advance(EVENT_TTL_MS + 120_000);
    expect((await gone).metadata.name).toBe("old");
    expect((await cluster.list(Event)).items.map((event) => event.metadata.name)).toEqual(["new"]);
  });

  it("finishes deletions that a restart interrupted", async () => {
    await cluster.create(Namespace, { apiVersion: "v1", kind: "Namespace", metadata: { name: "doomed" } });
    const metadata = { name: "a", namespace: "doomed", finalizers: ["example.com/hold"] };
    const held = await cluster.create(ConfigMap, { apiVersion: "v1", kind: "ConfigMap", metadata });
    await cluster.delete(Namespace, { name: "doomed" });
    await until(ConfigMap, (_, object) => object.metadata.deletionTimestamp !== undefined);
    await cluster.close();
    cluster = await open();
    const gone = until(Namespace, (type, object) => type === "DELETED" && object.metadata.name === "doomed");
    await cluster.patch(
      ConfigMap,
      { namespace: "doomed", name: held.metadata.name },
      { type: "merge", body: { metadata: { finalizers: null } } },
    );
    await gone;
  });

  it("collects at once what is created for an owner that does not exist", async () => {
    const owner = { apiVersion: "v1", kind: "ConfigMap", name: "never", uid: "00000000-0000-0000-0000-000000000000" };
    const gone = until(ConfigMap, (type, object) => type === "DELETED" && object.metadata.name === "orphan");
    await cluster.create(ConfigMap, {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "orphan", namespace: "default", ownerReferences: [owner] },
    });
    await gone;
  });

  it("does not accept names another CRD holds, and does when they are free", async () => {
    await cluster.create(CustomResourceDefinition, crd("widgets", "Widget"));
    const second = await cluster.create(CustomResourceDefinition, crd("gadgets", "Widget"));
    const accepted = (object: CustomResourceDefinitionObject) =>
      object.status?.conditions?.find((condition) => condition.type === "NamesAccepted");
    expect(accepted(second)).toMatchObject({
      status: "False",
      reason: "NameConflict",
      message: '"widget" is already in use',
    });
    expect((await cluster.discover()).byResource("example.com", "v1", "gadgets")).toBeUndefined();
    const free = until(
      CustomResourceDefinition,
      (_, object) => object.metadata.name === "gadgets.example.com" && accepted(object)?.status === "True",
    );
    await cluster.delete(CustomResourceDefinition, { name: "widgets.example.com" });
    await free;
    expect((await cluster.discover()).byResource("example.com", "v1", "gadgets")?.kind).toBe("Widget");
  });

  it("lets objects that became invalid by a tighter CRD be changed elsewhere and deleted", async () => {
    const loose = { type: "object", properties: { name: { type: "string" }, other: { type: "string" } } };
    const created = await cluster.create(CustomResourceDefinition, crd("widgets", "Widget", loose));
    const type: ResourceType = {
      group: "example.com",
      version: "v1",
      resource: "widgets",
      kind: "Widget",
      namespaced: true,
    };
    const key = { namespace: "default", name: "w" };
    await cluster.create(type, {
      apiVersion: "example.com/v1",
      kind: "Widget",
      metadata: { ...key, finalizers: ["example.com/hold"] },
      spec: { name: "TOO LONG" },
    });
    const tight = { ...loose, properties: { ...loose.properties, name: { type: "string", maxLength: 3 } } };
    await cluster.update(CustomResourceDefinition, { ...created, spec: crd("widgets", "Widget", tight).spec });
    await cluster.patch(type, key, { type: "merge", body: { spec: { other: "x" } } });
    const refused = cluster.patch(type, key, { type: "merge", body: { spec: { name: "STILL TOO LONG" } } });
    await expect(refused).rejects.toThrow(ApiStatusError);
    await cluster.delete(type, key);
    await cluster.patch(type, key, { type: "merge", body: { metadata: { finalizers: null } } });
    expect((await cluster.list(type)).items).toEqual([]);
  });

  it("allocates Service addresses and node ports that are unique and stay", async () => {
    const make = (name: string) =>
      cluster.create(Service, {
        apiVersion: "v1",
        kind: "Service",
        metadata: { name, namespace: "default" },
        spec: { type: "NodePort", ports: [{ port: 80 }] },
      });
    const services = await Promise.all(Array.from({ length: 50 }, (_, i) => make(`s-${i}`)));
    expect(new Set(services.map((service) => service.spec.clusterIP)).size).toBe(50);
    expect(new Set(services.map((service) => service.spec.ports?.[0]?.nodePort)).size).toBe(50);
    const [first] = services;
    if (!first) throw new Error("no service");
    const { clusterIP: _, ...spec } = first.spec;
    const updated = await cluster.update(Service, { ...first, spec: { ...spec, ports: [{ port: 80 }] } });
    expect(updated.spec.clusterIP).toBe(first.spec.clusterIP);
    expect(updated.spec.ports?.[0]?.nodePort).toBe(first.spec.ports?.[0]?.nodePort);
  });
});

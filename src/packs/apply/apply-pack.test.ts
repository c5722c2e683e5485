import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openTenantCluster, type TestTenantCluster } from "../../../test/support/tenant-cluster.ts";
import { publicStyleBundle } from "../../../test/packs/public-style-bundle.ts";
import {
  ClusterRole,
  ConfigMap,
  CustomResourceDefinition,
  Deployment,
  Namespace,
  PersistentVolumeClaim,
  ServiceAccount,
  StatefulSet,
} from "../../api/builtin.ts";
import type { KubeObject } from "../../api/object.ts";
import type { DeployedResourceRef } from "../../api/kinds/deployed-resource-ref.ts";
import type { LifecyclePolicies } from "../../api/kinds/lifecycle-policies.ts";
import { systemClock } from "../../base/clock.ts";
import { silentLog } from "../../base/log.ts";
import { SeededRandom, systemRandom } from "../../base/random.ts";
import { ApiStatusError } from "../../cluster/api-status-error.ts";
import type { Cluster } from "../../cluster/cluster.ts";
import { packSources } from "../artifact/build-pack.ts";
import { objectIdentity, type PackDocument } from "../artifact/pack-object.ts";
import { identityOf } from "../artifact/pack-object.ts";
import { checkPack } from "../drift/check-pack.ts";
import { plannedInventory } from "../order/execution-order.ts";
import { ApplyFailure } from "./apply-failure.ts";
import { applyPack, awaitPackReady } from "./apply-pack.ts";
import type { ApplyParts } from "./pack-application.ts";
import { prune } from "./prune.ts";
import { removePack } from "./remove-pack.ts";

/** A busy machine is no failure. */
const PATIENT = { timeout: 20_000, interval: 10 };

/** Plays the receipt: remembers what was recorded. */
class Recorder {
  inventory: readonly DeployedResourceRef[] = [];
  readonly history: (readonly DeployedResourceRef[])[] = [];
  readonly record = (inventory: readonly DeployedResourceRef[]): Promise<void> => {
    this.inventory = inventory;
    this.history.push(inventory);
    return Promise.resolve();
  };
}

const yaml = async (text: string): Promise<readonly PackDocument[]> =>
  (await packSources("test", [{ file: "a.yaml", text }])).documents;

const config = (name: string, namespace: string, value: string) =>
  `---\napiVersion: v1\nkind: ConfigMap\nmetadata: { name: ${name}, namespace: ${namespace} }\ndata: { value: "${value}" }\n`;

const deployment = (namespace: string, image = "web:1", annotations = "{}") => `---
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: ${namespace}, annotations: ${annotations} }
spec:
  replicas: 2
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec: { containers: [{ name: main, image: "${image}", resources: { limits: { cpu: 1000m } } }] }
`;

describe("apply engine", () => {
  let tenant: TestTenantCluster;
  let parts: ApplyParts;
  let count = 0;

  beforeAll(async () => {
    tenant = await openTenantCluster();
    parts = {
      cluster: tenant.cluster,
      clock: systemClock,
      random: systemRandom,
      log: silentLog,
      signal: tenant.signal,
    };
  });
  afterAll(() => tenant.close());

  /** A namespace of its own for every test. */
  const fresh = () => `apps${++count}`;
  const application = (name: string, version = "v1", lifecyclePolicies: LifecyclePolicies = {}) => ({
    packInstalled: `${name}-east`,
    pack: `${name}-${version}`,
    version,
    lifecyclePolicies,
    timeoutMs: 60_000,
  });
  const failure = async (work: Promise<unknown>): Promise<ApplyFailure> => {
    const error = await work.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    if (error instanceof ApplyFailure) return error;
    throw new Error(`expected an ApplyFailure, found ${String(error)}`);
  };

  it("applies, waits until ready, and knows every object with its uid", async () => {
    const ns = fresh();
    const documents = await yaml(config("a", ns, "1") + deployment(ns));
    const recorder = new Recorder();
    const inventory = await applyPack(parts, { ...application(ns), documents, inventory: [], record: recorder.record });
    await awaitPackReady(parts, `${ns}-east`, documents, inventory, 20_000);
    expect(inventory.map((ref) => `${ref.kind} ${ref.created} ${ref.uid !== undefined}`)).toEqual([
      "Namespace true true",
      "ConfigMap true true",
      "Deployment true true",
    ]);
    // The first record came before the first write and holds everything already.
    expect(recorder.history[0]?.map((ref) => ref.uid)).toEqual([undefined, undefined, undefined]);
    const live = await tenant.cluster.get(Deployment, { namespace: ns, name: "web" });
    expect(live.metadata.labels).toMatchObject({
      "app.kubernetes.io/managed-by": "seam",
      "seam.ontai.dev/pack-installed": `${ns}-east`,
    });
    expect(live.metadata.annotations).toMatchObject({ "seam.ontai.dev/pack-version": "v1" });
    expect(live.status?.availableReplicas).toBe(2);
  });

  it("applies CRDs, waits for them, and then their own custom resources, in a large bundle", async () => {
    const files = publicStyleBundle(
      {
        crds: 3,
        crdBytes: 500 * 1024,
        customResourcesPerCrd: 10,
        configMaps: 40,
        deployments: 10,
        clusterRoles: 10,
        webhooks: 2,
      },
      new SeededRandom(7),
    );
    const { documents } = await packSources("big", files);
    const recorder = new Recorder();
    const inventory = await applyPack(parts, {
      ...application("big"),
      documents,
      inventory: [],
      record: recorder.record,
    });
    await awaitPackReady(parts, "big-east", documents, inventory, 30_000);
    expect(inventory.every((ref) => ref.uid !== undefined)).toBe(true);
    expect(inventory).toHaveLength(documents.length);
    // A second apply of the same content changes nothing.
    const before = await tenant.cluster.list(CustomResourceDefinition);
    await applyPack(parts, { ...application("big"), documents, inventory, record: recorder.record });
    const after = await tenant.cluster.list(CustomResourceDefinition);
    expect(after.items.map((item) => item.metadata.resourceVersion)).toEqual(
      before.items.map((item) => item.metadata.resourceVersion),
    );
    const check = await checkPack(parts, application("big"), documents, inventory);
    expect(check).toMatchObject({ status: "InSync", checked: documents.length });
  });

  it("refuses what is not its own, before anything is written, and takes it over when told to", async () => {
    const ns = fresh();
    await tenant.cluster.create(Namespace, { apiVersion: "v1", kind: "Namespace", metadata: { name: ns } });
    await tenant.cluster.create(ConfigMap, {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "a", namespace: ns },
      data: { value: "theirs" },
    });
    const documents = await yaml(config("a", ns, "ours") + config("b", ns, "1"));
    const recorder = new Recorder();
    const refused = await failure(
      applyPack(parts, { ...application(ns), documents, inventory: [], record: recorder.record }),
    );
    expect(refused).toMatchObject({ reason: "AdoptionRefused", retryable: false });
    expect(refused.message).toContain(`ConfigMap ${ns}/a: exists and is not this pack's`);
    expect(recorder.history).toEqual([]);
    await expect(tenant.cluster.get(ConfigMap, { namespace: ns, name: "b" })).rejects.toBeInstanceOf(ApiStatusError);
    const adopting = {
      ...application(ns, "v1", { adoption: "Adopt" }),
      documents,
      inventory: [],
      record: recorder.record,
    };
    const inventory = await applyPack(parts, adopting);
    expect((await tenant.cluster.get(ConfigMap, { namespace: ns, name: "a" })).data).toEqual({ value: "ours" });
    expect(inventory.map((ref) => `${ref.kind} ${ref.name} ${ref.created}`)).toEqual([
      `Namespace ${ns} false`,
      "ConfigMap a false",
      "ConfigMap b true",
    ]);
  });

  it("refuses a bad object with everything else untouched", async () => {
    const ns = fresh();
    await tenant.cluster.create(Namespace, { apiVersion: "v1", kind: "Namespace", metadata: { name: ns } });
    const bad = `---\napiVersion: seam.example.org/v1\nkind: Nothing\nmetadata: { name: x, namespace: ${ns} }\n`;
    const recorder = new Recorder();
    const refused = await failure(
      applyPack(parts, {
        ...application(ns),
        documents: await yaml(config("a", ns, "1") + bad),
        inventory: [],
        record: recorder.record,
      }),
    );
    expect(refused).toMatchObject({ reason: "KindNotServed", retryable: false });
    expect(refused.message).toContain("the cluster serves no kind Nothing in seam.example.org/v1");
    await expect(tenant.cluster.get(ConfigMap, { namespace: ns, name: "a" })).rejects.toBeInstanceOf(ApiStatusError);
  });

  it("retries what passes, and says what does not", async () => {
    const ns = fresh();
    let failures = 0;
    const flaky = wrap(tenant.cluster, (name) => {
      if (name === "a" && failures++ < 2) throw new ApiStatusError(503, "ServiceUnavailable", "try again");
    });
    const documents = await yaml(config("a", ns, "1"));
    const quick = { ...parts, clock: { ...systemClock, sleep: () => Promise.resolve() } };
    await applyPack(
      { ...quick, cluster: flaky },
      { ...application(ns), documents, inventory: [], record: new Recorder().record },
    );
    expect(failures).toBeGreaterThan(2);
    const broken = wrap(tenant.cluster, (name) => {
      if (name === "b") throw new ApiStatusError(503, "ServiceUnavailable", "never");
    });
    const recorder = new Recorder();
    const refused = await failure(
      applyPack(
        { ...quick, cluster: broken },
        {
          ...application(ns),
          documents: await yaml(config("a", ns, "2") + config("b", ns, "1") + config("c", ns, "1")),
          inventory: [],
          record: recorder.record,
        },
      ),
    );
    expect(refused).toMatchObject({ reason: "Unreachable", retryable: true });
    expect(refused.failures).toEqual([{ object: `ConfigMap ${ns}/b`, message: "never" }]);
    expect(recorder.inventory.map((ref) => `${ref.name} ${ref.uid !== undefined}`)).toEqual([
      `${ns} true`,
      "a true",
      "b false",
      "c true",
    ]);
  });

  it("names unready workloads at once when they failed, and at the deadline when they hang", async () => {
    const ns = fresh();
    const documents = await yaml(deployment(ns, "web:1", '{ "simulated.seam.ontai.dev/outcome": hang }'));
    const inventory = await applyPack(parts, {
      ...application(ns),
      documents,
      inventory: [],
      record: new Recorder().record,
    });
    const late = await failure(awaitPackReady(parts, `${ns}-east`, documents, inventory, 700));
    expect(late).toMatchObject({ reason: "NotReady", retryable: true });
    expect(late.message).toMatch(new RegExp(`Deployment ${ns}/web: \\d of 2 replicas are`));
  });

  it("loses no object from the inventory, wherever the process is killed", async () => {
    const ns = fresh();
    const claim = `---\napiVersion: v1\nkind: ServiceAccount\nmetadata: { name: sa, namespace: ${ns} }\n`;
    const documents = await yaml(config("a", ns, "1") + config("b", ns, "1") + claim + deployment(ns));
    const kinds = [Namespace, ConfigMap, ServiceAccount, Deployment] as const;
    const selector = { labelSelector: `seam.ontai.dev/pack-installed=${ns}-east` };
    let recorded: readonly DeployedResourceRef[] = [];
    let budget = 0;
    for (let done = false; !done && budget < 200;) {
      budget++;
      let calls = 0;
      const dying = new AbortController();
      const mortal = () => {
        if (++calls < budget) return;
        dying.abort(new Error("killed"));
        throw new Error("killed");
      };
      done = await applyPack(
        { ...parts, cluster: wrap(tenant.cluster, mortal), signal: dying.signal },
        {
          ...application(ns),
          documents,
          inventory: recorded,
          // After the kill nothing is written any more, not even the inventory.
          record: async (inventory) => {
            mortal();
            recorded = inventory;
          },
        },
      ).then(
        () => true,
        () => false,
      );
      const exist: string[] = [];
      for (const type of kinds) {
        const { items } = await tenant.cluster.list<KubeObject>(type, selector);
        for (const item of items) exist.push(`${type.kind} ${item.metadata.name}`);
      }
      expect(recorded.map((ref) => `${ref.kind} ${ref.name}`)).toEqual(expect.arrayContaining(exist));
    }
    expect(budget).toBeGreaterThan(8);
    expect(recorded.map((ref) => ref.uid)).not.toContain(undefined);
  });

  it("prunes what left the pack after the new version is ready, and keeps what policies keep", async () => {
    const ns = fresh();
    const claim = `---\napiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: { name: data, namespace: ${ns} }\nspec: { accessModes: [ReadWriteOnce], resources: { requests: { storage: 1Gi } } }\n`;
    const keep = config("kept", ns, "1").replace(
      "namespace:",
      'annotations: { "seam.ontai.dev/prune": disabled }, namespace:',
    );
    const old = await yaml(config("a", ns, "1") + config("gone", ns, "1") + config("foreign", ns, "1") + keep + claim);
    const recorder = new Recorder();
    await applyPack(parts, { ...application(ns), documents: old, inventory: [], record: recorder.record });
    await tenant.cluster.patch(
      ConfigMap,
      { namespace: ns, name: "foreign" },
      {
        type: "merge",
        body: { metadata: { labels: { "seam.ontai.dev/pack-installed": "another-east" } } },
      },
    );
    const next = await yaml(config("a", ns, "2"));
    const union = await applyPack(parts, {
      ...application(ns, "v2"),
      documents: next,
      inventory: recorder.inventory,
      record: recorder.record,
    });
    expect(union.map((ref) => ref.name)).toEqual([ns, "a", "foreign", "gone", "kept", "data"]);
    const result = await prune(parts, `${ns}-east`, {}, union, plannedInventory(next));
    expect(result.deleted).toBe(1);
    expect(result.skipped.map((entry) => `${entry.object} ${entry.reason}`).sort()).toEqual([
      `ConfigMap ${ns}/foreign NotOwned`,
      `ConfigMap ${ns}/kept Disabled`,
      `PersistentVolumeClaim ${ns}/data Retained`,
    ]);
    expect(result.inventory.map((ref) => ref.name)).toEqual([ns, "a", "data"]);
    await expect(tenant.cluster.get(ConfigMap, { namespace: ns, name: "gone" })).rejects.toBeInstanceOf(ApiStatusError);
    await tenant.cluster.get(PersistentVolumeClaim, { namespace: ns, name: "data" });
  });

  it("needs permission to replace an object whose immutable field changes", async () => {
    const ns = fresh();
    const set = (service: string) => `---
apiVersion: apps/v1
kind: StatefulSet
metadata: { name: db, namespace: ${ns}, annotations: { "seam.ontai.dev/wait": "false" } }
spec:
  serviceName: ${service}
  replicas: 1
  selector: { matchLabels: { app: db } }
  template: { metadata: { labels: { app: db } }, spec: { containers: [{ name: main, image: "db:1" }] } }
`;
    const recorder = new Recorder();
    await applyPack(parts, {
      ...application(ns),
      documents: await yaml(set("one")),
      inventory: [],
      record: recorder.record,
    });
    const { uid } = (await tenant.cluster.get(StatefulSet, { namespace: ns, name: "db" })).metadata;
    const immutable = wrap(tenant.cluster, (name, body, dryRun) => {
      const spec = body["spec"] as { serviceName?: string } | undefined;
      const first = dryRun || name !== "db" || spec?.serviceName !== "two" ? false : uids.has(name);
      if (first)
        throw new ApiStatusError(
          422,
          "Invalid",
          "spec: Forbidden: updates to statefulset spec for fields other than 'replicas' are forbidden",
        );
    });
    const uids = new Set(["db"]);
    const change = {
      ...application(ns, "v2"),
      documents: await yaml(set("two")),
      inventory: recorder.inventory,
      record: recorder.record,
    };
    const refused = await failure(applyPack({ ...parts, cluster: immutable }, change));
    expect(refused).toMatchObject({ reason: "ImmutableField", retryable: false });
    expect(refused.message).toContain("name the kind in lifecyclePolicies.replace");
    const deleting = wrap(
      immutable,
      () => {},
      (name) => uids.delete(name),
    );
    await applyPack({ ...parts, cluster: deleting }, { ...change, lifecyclePolicies: { replace: ["StatefulSet"] } });
    const replaced = await tenant.cluster.get(StatefulSet, { namespace: ns, name: "db" });
    expect(replaced.metadata.uid).not.toBe(uid);
    expect(replaced.spec.serviceName).toBe("two");
  });

  it("finds exactly what differs, by pointer and manager, and forgets it when it is applied again", async () => {
    const ns = fresh();
    const documents = await yaml(config("a", ns, "1") + config("b", ns, "1") + config("c", ns, "1") + deployment(ns));
    const options = { ...application(ns), documents, inventory: [], record: new Recorder().record };
    const inventory = await applyPack(parts, options);
    const check = () => checkPack(parts, options, documents, inventory);
    expect(await check()).toMatchObject({ status: "InSync", drifted: [] });
    await tenant.cluster.patch(
      Deployment,
      { namespace: ns, name: "web" },
      { type: "merge", body: { spec: { replicas: 5 }, metadata: { labels: { theirs: "fine" } } } },
      { fieldManager: "kubectl-edit" },
    );
    await tenant.cluster.delete(ConfigMap, { namespace: ns, name: "a" });
    await tenant.cluster.patch(
      ConfigMap,
      { namespace: ns, name: "b" },
      { type: "merge", body: { metadata: { labels: { "seam.ontai.dev/pack-installed": null } } } },
    );
    await tenant.cluster.patch(
      ConfigMap,
      { namespace: ns, name: "c" },
      { type: "merge", body: { data: { extra: "theirs" } } },
    );
    const found = await check();
    expect(
      found.drifted.map((d) => [d.resource.name, d.change, d.paths, d.change === "Modified" ? d.lastManager : ""]),
    ).toEqual([
      ["a", "Missing", [], ""],
      ["b", "NotOwned", [], ""],
      ["web", "Modified", ["/spec/replicas"], "kubectl-edit"],
    ]);
    await tenant.cluster.delete(ConfigMap, { namespace: ns, name: "b" });
    await applyPack(parts, { ...options, inventory });
    expect(await check()).toMatchObject({ status: "InSync" });
    expect((await tenant.cluster.get(ConfigMap, { namespace: ns, name: "c" })).data).toEqual({
      value: "1",
      extra: "theirs",
    });
  });

  it("removes only its own, keeps claims and CRDs, and a namespace that holds anything else", async () => {
    const [one, two] = [fresh(), fresh()];
    const documents = await yaml(config("a", one, "1") + config("a", two, "1") + deployment(one));
    const recorder = new Recorder();
    const inventory = await applyPack(parts, {
      ...application(one),
      documents,
      inventory: [],
      record: recorder.record,
    });
    await tenant.cluster.create(ConfigMap, {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "foreign", namespace: two },
    });
    const result = await removePack(parts, `${one}-east`, {}, inventory);
    expect(result.failures).toEqual([]);
    expect(result.kept).toEqual([{ object: `Namespace ${two}`, reason: "NotEmpty: configmaps/foreign" }]);
    await expect.poll(() => gone(tenant.cluster, one), PATIENT).toBe(true);
    await tenant.cluster.get(ConfigMap, { namespace: two, name: "foreign" });
    expect(documents.map((d) => objectIdentity(d.object))).toEqual(expect.arrayContaining(inventory.map(identityOf)));
    expect(
      (await tenant.cluster.list(ClusterRole, { labelSelector: `seam.ontai.dev/pack-installed=${one}-east` })).items,
    ).toEqual([]);
  });
});

async function gone(cluster: Cluster, namespace: string): Promise<boolean> {
  return cluster.get(Namespace, { name: namespace }).then(
    () => false,
    () => true,
  );
}

/** The cluster with trouble on the way of applies, and an ear for deletions. */
function wrap(
  cluster: Cluster,
  onApply: (name: string, body: Readonly<Record<string, unknown>>, dryRun: boolean) => void,
  onDelete: (name: string) => void = () => {},
): Cluster {
  return {
    get: (type, key) => cluster.get(type, key),
    list: (type, options) => cluster.list(type, options),
    watch: (type, options, signal) => cluster.watch(type, options, signal),
    create: (type, object, options) => cluster.create(type, object, options),
    update: (type, object, options) => cluster.update(type, object, options),
    updateStatus: (type, object, options) => cluster.updateStatus(type, object, options),
    discover: () => cluster.discover(),
    delete: (type, key, options) => {
      onDelete(key.name);
      return cluster.delete(type, key, options);
    },
    patch: async (type, key, patch, options) => {
      if (patch.type === "apply") onApply(key.name, patch.body, options?.dryRun === true);
      return cluster.patch(type, key, patch, options);
    },
  };
}

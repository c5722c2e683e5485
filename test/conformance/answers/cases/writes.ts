import { ConfigMap, Deployment, Secret } from "../../../../src/api/builtin.ts";
import type { Unstructured } from "../../../../src/api/object.ts";
import { type AnswerCases, casesOf, type Probe } from "../probe.ts";

const map = (more: object = {}): object => ({ metadata: { name: "a" }, data: { k: "v" }, ...more });

async function existing(probe: Probe, metadata: object = {}): Promise<Unstructured> {
  const made = await probe.create(ConfigMap, map({ metadata: { name: "a", ...metadata } }));
  if (made === undefined) throw new Error("the object of the case was not created");
  return made;
}

/** Changes of the metadata of an object that exists. */
const CHANGES: Readonly<Record<string, object>> = {
  "another uid": { uid: "11111111-2222-3333-4444-555555555555" },
  "another creationTimestamp": { creationTimestamp: "2001-01-01T00:00:00Z" },
  "a deletionTimestamp": { deletionTimestamp: "2001-01-01T00:00:00Z" },
  "another generation": { generation: 9 },
  "no resourceVersion": { resourceVersion: "" },
  "an old resourceVersion": { resourceVersion: "1" },
  "a resourceVersion that is no number": { resourceVersion: "abc" },
  "a resourceVersion of zero": { resourceVersion: "0" },
  "wrong labels": { labels: { "a b": "c" } },
  "a finalizer": { finalizers: ["example.com/a"] },
  "an annotation": { annotations: { a: "b" } },
};

/** Patches of a ConfigMap with data {k: "v", l: "w"} and two labels. */
const PATCHES: Readonly<Record<string, object>> = {
  "merge: change": { type: "merge", body: { data: { k: "x" } } },
  "merge: remove by null": { type: "merge", body: { data: { k: null } } },
  "merge: remove all": { type: "merge", body: { data: null } },
  "merge: wrong type": { type: "merge", body: { data: "x" } },
  "merge: number for text": { type: "merge", body: { data: { k: 1 } } },
  "merge: other name": { type: "merge", body: { metadata: { name: "b" } } },
  "merge: other namespace": { type: "merge", body: { metadata: { namespace: "default" } } },
  "merge: other kind": { type: "merge", body: { kind: "Secret" } },
  "merge: nothing": { type: "merge", body: {} },
  "merge: stale version": { type: "merge", body: { metadata: { resourceVersion: "1" } } },
  "merge: unknown member": { type: "merge", body: { colour: "red" } },
  "merge: wrong label": { type: "merge", body: { metadata: { labels: { "a b": "c" } } } },
  "json: add": { type: "json", body: [{ op: "add", path: "/data/new", value: "x" }] },
  "json: replace": { type: "json", body: [{ op: "replace", path: "/data/k", value: "x" }] },
  "json: replace what is not there": { type: "json", body: [{ op: "replace", path: "/data/zzz", value: "x" }] },
  "json: remove": { type: "json", body: [{ op: "remove", path: "/data/k" }] },
  "json: remove what is not there": { type: "json", body: [{ op: "remove", path: "/data/zzz" }] },
  "json: move": { type: "json", body: [{ op: "move", from: "/data/k", path: "/data/m" }] },
  "json: copy": { type: "json", body: [{ op: "copy", from: "/data/k", path: "/data/m" }] },
  "json: copy what is not there": { type: "json", body: [{ op: "copy", from: "/data/zzz", path: "/data/m" }] },
  "json: test that holds": {
    type: "json",
    body: [
      { op: "test", path: "/data/k", value: "v" },
      { op: "add", path: "/data/m", value: "x" },
    ],
  },
  "json: test that fails": { type: "json", body: [{ op: "test", path: "/data/k", value: "zzz" }] },
  "json: deep into nothing": { type: "json", body: [{ op: "add", path: "/data/x/y", value: "z" }] },
  "json: add without parent": { type: "json", body: [{ op: "add", path: "/binaryData/x", value: "eA==" }] },
  "json: escaped path": { type: "json", body: [{ op: "add", path: "/metadata/annotations/a~1b", value: "z" }] },
  "json: no operations": { type: "json", body: [] },
  "json: resourceVersion": { type: "json", body: [{ op: "replace", path: "/metadata/resourceVersion", value: "1" }] },
  "json: wrong type": { type: "json", body: [{ op: "replace", path: "/data", value: "x" }] },
  "strategic: change": { type: "strategic", body: { data: { k: "x" } } },
  "strategic: remove by null": { type: "strategic", body: { data: { k: null } } },
  "strategic: replace the map": { type: "strategic", body: { data: { $patch: "replace", n: "x" } } },
  "strategic: delete the map": { type: "strategic", body: { data: { $patch: "delete" } } },
  "strategic: unknown directive": { type: "strategic", body: { data: { $patch: "explode" } } },
  "strategic: retain keys": { type: "strategic", body: { data: { $retainKeys: ["k"], k: "x" } } },
  "strategic: finalizers merge": { type: "strategic", body: { metadata: { finalizers: ["example.com/b"] } } },
  "strategic: finalizer deleted": {
    type: "strategic",
    body: { metadata: { "$deleteFromPrimitiveList/finalizers": ["example.com/a"] } },
  },
};

const deployment = {
  metadata: { name: "d" },
  spec: {
    selector: { matchLabels: { app: "a" } },
    template: {
      metadata: { labels: { app: "a" } },
      spec: {
        containers: [
          { name: "one", image: "i:1", env: [{ name: "A", value: "1" }], ports: [{ containerPort: 80 }] },
          { name: "two", image: "i:2" },
        ],
        tolerations: [{ key: "a", operator: "Exists" }],
      },
    },
  },
};

const podSpec = (spec: object): object => ({ type: "strategic", body: { spec: { template: { spec } } } });

/** Strategic patches of a Deployment: lists that merge by key, and lists that do not. */
const STRATEGIC: Readonly<Record<string, object>> = {
  "container by name": podSpec({ containers: [{ name: "two", image: "i:3" }] }),
  "new container": podSpec({ containers: [{ name: "three", image: "i:3" }] }),
  "container deleted": podSpec({ containers: [{ name: "two", $patch: "delete" }] }),
  "containers replaced": podSpec({ containers: [{ $patch: "replace" }, { name: "only", image: "i:9" }] }),
  "container without key": podSpec({ containers: [{ image: "i:3" }] }),
  "order of containers": podSpec({
    "$setElementOrder/containers": [{ name: "two" }, { name: "one" }],
    containers: [{ name: "one", image: "i:4" }],
  }),
  "env by name": podSpec({ containers: [{ name: "one", env: [{ name: "B", value: "2" }] }] }),
  "env removed": podSpec({ containers: [{ name: "one", env: [{ name: "A", $patch: "delete" }] }] }),
  "port by number": podSpec({ containers: [{ name: "one", ports: [{ containerPort: 80, name: "http" }] }] }),
  "atomic list": podSpec({ tolerations: [{ key: "b", operator: "Exists" }] }),
  "strategy with retained keys": {
    type: "strategic",
    body: { spec: { strategy: { $retainKeys: ["type"], type: "Recreate" } } },
  },
};

export const writeCases: AnswerCases = {
  ...casesOf("update with", CHANGES, async (probe, change) => {
    const object = await existing(probe);
    await probe.update(ConfigMap, { ...object, metadata: { ...object.metadata, ...change }, data: { k: "w" } });
  }),
  ...casesOf("update of a custom object with", CHANGES, async (probe, change) => {
    const object = await probe.create(probe.widget, { metadata: { name: "a" }, spec: { text: "v" } });
    await probe.update(probe.widget, {
      ...object,
      metadata: { ...object?.metadata, ...change },
      spec: { text: "w" },
    });
  }),
  ...casesOf("patch", PATCHES, async (probe, patch) => {
    await existing(probe, { labels: { a: "1", b: "2" }, finalizers: ["example.com/a"], annotations: { x: "y" } });
    await probe.patch(ConfigMap, "a", patch);
    await probe.patch(ConfigMap, "a", { type: "merge", body: { metadata: { finalizers: null } } });
  }),
  ...casesOf("strategic patch of a Deployment", STRATEGIC, async (probe, patch) => {
    await probe.create(Deployment, deployment);
    await probe.patch(Deployment, "d", patch);
  }),
  "strategic patch of owner references": async (probe) => {
    await existing(probe);
    const owner = (uid: string): object => ({ apiVersion: "v1", kind: "ConfigMap", name: "o", uid });
    // Dry runs: a garbage collector would take an object whose owner does not exist.
    for (const uid of ["u", "v"])
      await probe.patch(
        ConfigMap,
        "a",
        { type: "strategic", body: { metadata: { ownerReferences: [owner(uid)] } } },
        { dryRun: true },
      );
  },
  "update of what does not exist": async (probe) => {
    await probe.update(ConfigMap, map());
    await probe.update(ConfigMap, map({ metadata: { name: "a", resourceVersion: "5" } }));
    await probe.update(probe.widget, { metadata: { name: "a" }, spec: {} });
  },
  "patch of what does not exist": async (probe) => {
    await probe.patch(ConfigMap, "a", { type: "merge", body: {} });
    await probe.patch(probe.widget, "a", { type: "json", body: [] });
    await probe.get(ConfigMap, "a");
    await probe.delete(ConfigMap, "a");
  },
  "strategic patch of a custom object": async (probe) => {
    await probe.create(probe.widget, { metadata: { name: "a" }, spec: {} });
    await probe.patch(probe.widget, "a", { type: "strategic", body: {} });
  },
  "generation and status of a custom object": async (probe) => {
    const made = await probe.create(probe.widget, {
      metadata: { name: "a" },
      spec: { text: "v" },
      status: { phase: "from create" },
    });
    const status = await probe.updateStatus(probe.widget, {
      ...made,
      spec: { text: "not taken" },
      status: { phase: "Ready" },
    });
    await probe.update(probe.widget, { ...status, spec: { text: "w" }, status: { phase: "not taken" } });
    await probe.patch(probe.widget, "a", { type: "merge", body: { metadata: { labels: { a: "b" } } } });
    await probe.patch(
      probe.widget,
      "a",
      { type: "merge", body: { status: { replicas: 2 } } },
      { subresource: "status" },
    );
    await probe.patch(
      probe.widget,
      "a",
      { type: "merge", body: { status: { replicas: "x" } } },
      { subresource: "status" },
    );
  },
  "the same update twice changes nothing": async (probe) => {
    const made = await probe.create(probe.widget, { metadata: { name: "a" }, spec: { text: "v" } });
    const again = await probe.update(probe.widget, { ...made });
    probe.answers.push(made?.metadata.resourceVersion === again?.metadata.resourceVersion);
  },
  "dry runs": async (probe) => {
    await probe.create(ConfigMap, map(), { dryRun: true });
    await probe.get(ConfigMap, "a");
    await existing(probe);
    await probe.patch(ConfigMap, "a", { type: "merge", body: { data: { k: "x" } } }, { dryRun: true });
    await probe.delete(ConfigMap, "a", { dryRun: true });
    await probe.get(ConfigMap, "a");
  },
  "field manager too long": async (probe) => {
    await probe.create(ConfigMap, map(), { fieldManager: "x".repeat(129) });
  },
  "field manager with a newline": async (probe) => {
    await probe.create(ConfigMap, map(), { fieldManager: "a\nb" });
  },
  "delete with preconditions": async (probe) => {
    const made = await existing(probe);
    await probe.delete(ConfigMap, "a", { preconditions: { uid: "other" } });
    await probe.delete(ConfigMap, "a", { preconditions: { resourceVersion: "1" } });
    await probe.delete(ConfigMap, "a", {
      preconditions: { uid: made.metadata.uid ?? "", resourceVersion: made.metadata.resourceVersion ?? "" },
    });
    await probe.get(ConfigMap, "a");
  },
  "finalizers hold a deletion": async (probe) => {
    await existing(probe, { finalizers: ["example.com/a"] });
    await probe.delete(ConfigMap, "a");
    await probe.delete(ConfigMap, "a");
    await probe.patch(ConfigMap, "a", {
      type: "merge",
      body: { metadata: { finalizers: ["example.com/a", "example.com/b"] } },
    });
    await probe.patch(ConfigMap, "a", { type: "merge", body: { data: { k: "while it goes" } } });
    await probe.create(ConfigMap, map());
    await probe.patch(ConfigMap, "a", { type: "merge", body: { metadata: { finalizers: null } } });
    await probe.get(ConfigMap, "a");
  },
  ...casesOf("deletion by policy", { Background: {}, Foreground: {}, Orphan: {} }, async (probe) => {
    await existing(probe);
    await probe.delete(ConfigMap, "a", { gracePeriodSeconds: 0 });
  }),
  "foreground deletion waits by a finalizer": async (probe) => {
    await existing(probe, { finalizers: ["example.com/a"] });
    await probe.delete(ConfigMap, "a", { propagationPolicy: "Foreground" });
    await probe.patch(ConfigMap, "a", { type: "merge", body: { metadata: { finalizers: null } } });
  },
  "orphaning deletion waits by a finalizer": async (probe) => {
    await existing(probe, { finalizers: ["example.com/a"] });
    await probe.delete(ConfigMap, "a", { propagationPolicy: "Orphan" });
    await probe.patch(ConfigMap, "a", { type: "merge", body: { metadata: { finalizers: null } } });
  },
  "immutable data": async (probe) => {
    await probe.create(ConfigMap, map({ immutable: true }));
    await probe.patch(ConfigMap, "a", { type: "merge", body: { data: { k: "x" } } });
    await probe.patch(ConfigMap, "a", { type: "merge", body: { immutable: false } });
    await probe.patch(ConfigMap, "a", { type: "merge", body: { binaryData: { b: "eA==" } } });
    await probe.create(Secret, { metadata: { name: "s" }, immutable: true, stringData: { k: "v" } });
    await probe.patch(Secret, "s", { type: "merge", body: { stringData: { k: "x" } } });
  },
  ...casesOf(
    "unknown fields",
    { Strict: "Strict" as const, Warn: "Warn" as const, Ignore: "Ignore" as const },
    async (probe, fieldValidation) => {
      await probe.create(
        probe.widget,
        { metadata: { name: "a" }, spec: { text: "v", bogus: 1, object: { a: 1, deep: true } }, extra: {} },
        { fieldValidation },
      );
      await probe.create(ConfigMap, map({ extra: 1 }), { fieldValidation });
      await probe.patch(probe.widget, "a", { type: "merge", body: { spec: { other: 1 } } }, { fieldValidation });
      await probe.patch(
        probe.widget,
        "a",
        {
          type: "apply",
          body: {
            apiVersion: "answers.conformance.example/v1",
            kind: "Widget",
            metadata: { name: "a" },
            spec: { third: 1 },
          },
        },
        { fieldValidation, fieldManager: "applier" },
      );
    },
  ),
};

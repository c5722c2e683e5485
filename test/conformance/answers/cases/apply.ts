import { ConfigMap, Deployment } from "../../../../src/api/builtin.ts";
import { type AnswerCases, casesOf, type Probe } from "../probe.ts";

const applied = (probe: Probe, manager: string, spec: object, more: object = {}) =>
  probe.patch(
    probe.widget,
    "a",
    {
      type: "apply",
      body: { apiVersion: "answers.conformance.example/v1", kind: "Widget", metadata: { name: "a" }, spec },
    },
    { fieldManager: manager, ...more },
  );

/** Applied by one manager, then by another, then by the other with force, then by the first again without its fields. */
const PAIRS: Readonly<Record<string, readonly [object, object]>> = {
  "same scalar": [{ integer: 1 }, { integer: 2 }],
  "same scalar and value": [{ integer: 1 }, { integer: 1 }],
  "different scalars": [{ integer: 1 }, { text: "b" }],
  "members of one object": [{ object: { a: 1 } }, { object: { a: 1, b: "x" } }],
  "keys of one map": [{ map: { a: 1 } }, { map: { b: 2 } }],
  "key of a map": [{ map: { a: 1 } }, { map: { a: 2 } }],
  "atomic map": [{ atomic: { a: "1" } }, { atomic: { b: "2" } }],
  set: [{ set: ["a", "b"] }, { set: ["b", "c"] }],
  "list by keys": [{ keyed: [{ name: "a", value: 1 }] }, { keyed: [{ name: "b", value: 2 }] }],
  "item of a list by keys": [{ keyed: [{ name: "a", value: 1 }] }, { keyed: [{ name: "a", value: 2 }] }],
  "atomic list": [{ list: [1, 2] }, { list: [3] }],
  "open object": [{ open: { a: { b: 1 } } }, { open: { a: { c: 2 } } }],
  "empty object": [{ defaulted: {} }, { defaulted: { size: 7 } }],
  null: [{ nullable: null }, { nullable: "x" }],
};

/** Configurations that are refused. */
const WRONG: Readonly<Record<string, object>> = {
  "set with duplicates": { set: ["a", "a"] },
  "keyed list with duplicates": { keyed: [{ name: "a" }, { name: "a" }] },
  "keyed list without key": { keyed: [{ value: 1 }] },
  "wrong type": { integer: "x" },
  "list for an object": { object: [] },
  "object for a list": { list: {} },
};

const container = (image: string, env: readonly object[]) => ({ name: "c", image, env });
const deployment = (containers: readonly object[], replicas?: number) => ({
  type: "apply",
  body: {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "d" },
    spec: {
      ...(replicas === undefined ? {} : { replicas }),
      selector: { matchLabels: { app: "a" } },
      template: { metadata: { labels: { app: "a" } }, spec: { containers } },
    },
  },
});

export const applyCases: AnswerCases = {
  ...casesOf("two managers", PAIRS, async (probe, [first, second]) => {
    probe.showManagers = true;
    await applied(probe, "one", first);
    await applied(probe, "two", second);
    await applied(probe, "two", second, { force: true });
    await applied(probe, "one", {});
    await applied(probe, "two", {});
  }),
  ...casesOf("applied wrongly", WRONG, async (probe, spec) => {
    await applied(probe, "one", spec);
    await applied(probe, "one", {});
    await applied(probe, "one", spec);
  }),
  "apply over an update": async (probe) => {
    probe.showManagers = true;
    await probe.create(probe.widget, { metadata: { name: "a" }, spec: { integer: 1, text: "x" } });
    await applied(probe, "applier", { integer: 2 });
    await applied(probe, "applier", { integer: 2 }, { force: true });
    await probe.patch(probe.widget, "a", { type: "merge", body: { spec: { integer: 3 } } });
    await applied(probe, "applier", { integer: 2 });
    await applied(probe, "applier", {});
  },
  "apply of status and spec by one manager": async (probe) => {
    probe.showManagers = true;
    await applied(probe, "one", { integer: 1 });
    const body = {
      apiVersion: "answers.conformance.example/v1",
      kind: "Widget",
      metadata: { name: "a" },
      status: { phase: "Ready" },
    };
    await probe.patch(probe.widget, "a", { type: "apply", body }, { fieldManager: "one", subresource: "status" });
    await applied(probe, "one", {});
  },
  "apply with metadata": async (probe) => {
    probe.showManagers = true;
    const body = (metadata: object) => ({
      type: "apply",
      body: { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "a", ...metadata } },
    });
    await probe.patch(ConfigMap, "a", body({ labels: { a: "1" }, finalizers: ["example.com/a"] }), {
      fieldManager: "one",
    });
    await probe.patch(ConfigMap, "a", body({ labels: { a: "2" } }), { fieldManager: "two" });
    await probe.patch(ConfigMap, "a", body({ labels: { a: "1" }, finalizers: ["example.com/b"] }), {
      fieldManager: "two",
    });
    await probe.patch(ConfigMap, "a", body({}), { fieldManager: "one" });
    await probe.patch(ConfigMap, "a", body({}), { fieldManager: "two" });
  },
  ...casesOf(
    "apply refuses",
    {
      "another name": { metadata: { name: "b" } },
      "another kind": { kind: "Secret" },
      "another version": { apiVersion: "v2" },
      "no kind": { kind: "" },
      "no apiVersion": { apiVersion: "" },
      managedFields: { metadata: { name: "a", managedFields: [{ manager: "x", operation: "Apply" }] } },
      "another uid": { metadata: { name: "a", uid: "11111111-2222-3333-4444-555555555555" } },
      "a resourceVersion": { metadata: { name: "a", resourceVersion: "1" } },
      "wrong data": { data: { k: 1 } },
    },
    async (probe, change) => {
      const body = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "a" }, ...change };
      await probe.patch(ConfigMap, "a", { type: "apply", body }, { fieldManager: "one" });
    },
  ),
  "apply of a Deployment by two managers": async (probe) => {
    probe.showManagers = true;
    await probe.patch(Deployment, "d", deployment([container("i:1", [{ name: "A", value: "1" }])], 2), {
      fieldManager: "one",
    });
    await probe.patch(Deployment, "d", deployment([container("i:1", [{ name: "B", value: "2" }])]), {
      fieldManager: "two",
    });
    await probe.patch(Deployment, "d", deployment([container("i:2", [])]), { fieldManager: "two" });
    await probe.patch(Deployment, "d", deployment([container("i:2", [])]), { fieldManager: "two", force: true });
    await probe.patch(Deployment, "d", deployment([{ name: "c" }], 3), { fieldManager: "one" });
  },
  "apply is the same twice": async (probe) => {
    await applied(probe, "one", { integer: 1 });
    const first = await probe.get(probe.widget, "a");
    await applied(probe, "one", { integer: 1 });
    const second = await probe.get(probe.widget, "a");
    probe.answers.push(first?.metadata.resourceVersion === second?.metadata.resourceVersion);
  },
};

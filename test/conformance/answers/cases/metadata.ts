import {
  ClusterRole,
  ClusterRoleBinding,
  ConfigMap,
  CronJob,
  Deployment,
  Ingress,
  Job,
  Lease,
  Namespace,
  NetworkPolicy,
  PersistentVolumeClaim,
  PodDisruptionBudget,
  Role,
  Secret,
  Service,
  ServiceAccount,
} from "../../../../src/api/builtin.ts";
import type { KubeObject } from "../../../../src/api/object.ts";
import type { ResourceType } from "../../../../src/api/resource-type.ts";
import { type AnswerCases, casesOf } from "../probe.ts";

const names = [
  "A",
  "a_b",
  "-a",
  "a-",
  ".a",
  "a..b",
  "a/b",
  "a b",
  "ü",
  "a:b",
  "a.b-c.0",
  "x".repeat(253),
  "x".repeat(254),
  "",
];

const container = { name: "c", image: "i:1" };
const template = { metadata: { labels: { app: "a" } }, spec: { containers: [container] } };
const selector = { matchLabels: { app: "a" } };

/** What each kind needs besides its name. */
const KINDS: readonly (readonly [ResourceType<KubeObject>, object])[] = [
  [Secret, {}],
  [ServiceAccount, {}],
  [Service, { spec: { ports: [{ port: 80 }] } }],
  [Deployment, { spec: { selector, template } }],
  [Job, { spec: { template: { spec: { containers: [container], restartPolicy: "Never" } } } }],
  [
    CronJob,
    {
      spec: {
        schedule: "* * * * *",
        jobTemplate: { spec: { template: { spec: { containers: [container], restartPolicy: "Never" } } } },
      },
    },
  ],
  [Role, { rules: [] }],
  [Lease, { spec: {} }],
  [PersistentVolumeClaim, { spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } } }],
  [NetworkPolicy, { spec: { podSelector: {} } }],
  [PodDisruptionBudget, { spec: { minAvailable: 1, selector } }],
  [Ingress, { spec: { defaultBackend: { service: { name: "s", port: { number: 80 } } } } }],
];

const ownerOf = (more: object): object => ({ apiVersion: "v1", kind: "ConfigMap", name: "o", uid: "u", ...more });

/** Metadata of a new ConfigMap, by what is tried. */
const METADATA: Readonly<Record<string, object>> = {
  "label value too long": { labels: { a: "x".repeat(64) } },
  "label value with a space": { labels: { a: "x y" } },
  "label value that ends in a dash": { labels: { a: "x-" } },
  "label value empty": { labels: { a: "" } },
  "label key empty": { labels: { "": "x" } },
  "label key with two slashes": { labels: { "a/b/c": "x" } },
  "label key with a prefix": { labels: { "example.com/a": "x" } },
  "label key with a wrong prefix": { labels: { "Example_com/a": "x" } },
  "label key too long": { labels: { ["x".repeat(64)]: "x" } },
  "label prefix too long": { labels: { [`${"x".repeat(254)}/a`]: "x" } },
  "several wrong labels": { labels: { "a b": "x y", "-": "-" } },
  "annotation key wrong": { annotations: { "a b": "x" } },
  "annotation key upper case": { annotations: { "Example.com/A": "x" } },
  "annotations too large": { annotations: { a: "x".repeat(263_000) } },
  "finalizer without a domain": { finalizers: ["a"] },
  "finalizer with a domain": { finalizers: ["example.com/a"] },
  "finalizer wrong": { finalizers: ["a b"] },
  "finalizer of the system": { finalizers: ["kubernetes"] },
  "owner without a name": { ownerReferences: [ownerOf({ name: "" })] },
  "owner without a uid": { ownerReferences: [ownerOf({ uid: "" })] },
  "owner without a kind": { ownerReferences: [ownerOf({ kind: "" })] },
  "owner without an apiVersion": { ownerReferences: [ownerOf({ apiVersion: "" })] },
  "owner of a wrong apiVersion": { ownerReferences: [ownerOf({ apiVersion: "a/b/c" })] },
  "owner that is an Event": { ownerReferences: [ownerOf({ kind: "Event" })] },
  "two controllers": {
    ownerReferences: [ownerOf({ controller: true }), ownerOf({ name: "p", uid: "v", controller: true })],
  },
  "owner twice": { ownerReferences: [ownerOf({}), ownerOf({})] },
  "a resourceVersion": { resourceVersion: "1" },
  "a uid": { uid: "11111111-2222-3333-4444-555555555555" },
  "a deletionTimestamp": { deletionTimestamp: "2020-01-01T00:00:00Z", deletionGracePeriodSeconds: 5 },
  "a creationTimestamp": { creationTimestamp: "2020-01-01T00:00:00Z" },
  "a generation": { generation: 7 },
  "a selfLink": { selfLink: "/x" },
  "a namespace of another": { namespace: "default" },
  "a namespace that does not exist": { namespace: "missing-namespace" },
  "an unknown member": { colour: "red" },
  "labels that are null": { labels: null },
  "a label of null": { labels: { a: null } },
};

export const metadataCases: AnswerCases = {
  ...casesOf(
    "name of a ConfigMap",
    Object.fromEntries(names.map((name) => [name.length > 20 ? `of ${name.length}` : JSON.stringify(name), name])),
    (probe, name) => probe.create(ConfigMap, { metadata: { name } }).then(() => undefined),
  ),
  ...casesOf(
    "kind with a wrong name",
    Object.fromEntries(KINDS.map(([type, rest]) => [type.kind, { type, rest }])),
    async (probe, { type, rest }) => {
      await probe.create(type, { metadata: { name: "Wrong_Name" }, ...rest });
    },
  ),
  ...casesOf(
    "kind with a dotted name",
    Object.fromEntries(KINDS.map(([type, rest]) => [type.kind, { type, rest }])),
    async (probe, { type, rest }) => {
      await probe.create(type, { metadata: { name: "0.b" }, ...rest }, { dryRun: true });
    },
  ),
  ...casesOf(
    "kind with a long name",
    Object.fromEntries(KINDS.map(([type, rest]) => [type.kind, { type, rest }])),
    async (probe, { type, rest }) => {
      await probe.create(type, { metadata: { name: "x".repeat(64) }, ...rest }, { dryRun: true });
    },
  ),
  ...casesOf(
    "name of a Namespace",
    Object.fromEntries(["a.b", "A", "0a", "x".repeat(64), "-a", "a_b"].map((name) => [name.slice(0, 12), name])),
    async (probe, name) => {
      await probe.create(Namespace, { metadata: { name } }, { dryRun: true });
    },
  ),
  ...casesOf(
    "name of a role",
    Object.fromEntries(["a:b", "A B", "a/b", "a%b", "..", "."].map((name) => [name, name])),
    async (probe, name) => {
      await probe.create(ClusterRole, { metadata: { name }, rules: [] }, { dryRun: true });
      const roleRef = { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "x" };
      await probe.create(ClusterRoleBinding, { metadata: { name }, roleRef }, { dryRun: true });
    },
  ),
  ...casesOf("metadata of a ConfigMap", METADATA, async (probe, metadata) => {
    await probe.create(ConfigMap, { metadata: { name: "a", ...metadata } });
  }),
  ...casesOf("metadata of a custom object", METADATA, async (probe, metadata) => {
    await probe.create(probe.widget, { metadata: { name: "a", ...metadata }, spec: {} });
  }),
  ...casesOf(
    "generateName",
    { plain: "a-", long: "x".repeat(250), wrong: "A_", "ends in a dot": "a.", empty: "" },
    async (probe, generateName) => {
      await probe.create(ConfigMap, { metadata: { generateName } });
    },
  ),
  "generateName beside a name": async (probe) => {
    await probe.create(ConfigMap, { metadata: { generateName: "a-", name: "b" } });
  },
  "an object that exists": async (probe) => {
    await probe.create(ConfigMap, { metadata: { name: "a" } });
    await probe.create(ConfigMap, { metadata: { name: "a" } });
    await probe.create(ConfigMap, { metadata: { name: "a", labels: { "a b": "" } } });
  },
};

import { ConfigMap, Namespace, Pod, Secret } from "../../../../src/api/builtin.ts";
import { type AnswerCases, casesOf, type Probe } from "../probe.ts";

const LABEL_SELECTORS = [
  "a=1",
  "a==1",
  "a!=1",
  "a",
  "!a",
  "a in (1,2)",
  "a notin (1)",
  "a in (1), b",
  "a>0",
  "a<2",
  "a>x",
  "a=1,",
  ",",
  "a in ()",
  "a in (1",
  "a=1=2",
  "a!!b",
  "=1",
  "a b",
  "a=x y",
  "-a=1",
  "example.com/a=1",
  "a in (1,)",
  " a = 1 ",
  `a=${"x".repeat(64)}`,
  "a notin (3)",
];

const FIELD_SELECTORS = [
  "metadata.name=a-1",
  "metadata.name==a-1",
  "metadata.name!=a-1",
  "metadata.name=a-1,metadata.name=a-2",
  "metadata.namespace=default",
  "metadata.uid=x",
  "data.k=v",
  "metadata.name",
  "=",
  "metadata.name=a\\,b",
  "",
];

async function filled(probe: Probe): Promise<void> {
  for (const [name, labels] of [
    ["a-1", { a: "1", b: "x" }],
    ["a-2", { a: "2" }],
    ["a-3", { b: "y" }],
    ["a-4", {}],
  ] as const)
    await probe.create(ConfigMap, { metadata: { name, labels } });
  probe.answers.length = 0;
}

export const listCases: AnswerCases = {
  ...casesOf(
    "label selector",
    Object.fromEntries(LABEL_SELECTORS.map((selector) => [selector.slice(0, 30), selector])),
    async (probe, labelSelector) => {
      await filled(probe);
      await probe.list(ConfigMap, { labelSelector });
    },
  ),
  ...casesOf(
    "field selector",
    Object.fromEntries(FIELD_SELECTORS.map((selector) => [selector, selector])),
    async (probe, fieldSelector) => {
      await filled(probe);
      await probe.list(ConfigMap, { fieldSelector });
    },
  ),
  ...casesOf(
    "field selector of another kind",
    {
      "Pod by phase": [Pod, "status.phase=Running"],
      "Pod by node": [Pod, "spec.nodeName="],
      "Pod by image": [Pod, "spec.image=x"],
      "Secret by type": [Secret, "type=Opaque"],
      "Namespace by phase": [Namespace, "status.phase=None"],
    } as const,
    async (probe, [type, fieldSelector]) => {
      await probe.list(type, { fieldSelector });
    },
  ),
  "field selector of a custom kind": async (probe) => {
    await probe.create(probe.widget, { metadata: { name: "a" }, spec: { choice: "one" } });
    await probe.create(probe.widget, { metadata: { name: "b" }, spec: { choice: "two" } });
    await probe.list(probe.widget, { fieldSelector: "spec.choice=two" });
    await probe.list(probe.widget, { fieldSelector: "spec.choice!=two" });
    await probe.list(probe.widget, { fieldSelector: "spec.text=two" });
  },
  ...casesOf(
    "list options",
    {
      "limit 2": { limit: 2 },
      "limit beyond": { limit: 10 },
      "limit with a selector": { limit: 1, labelSelector: "a" },
      "continue that is no token": { continue: "x" },
      "continue that is no JSON": { continue: "eA" },
      "resourceVersion zero": { resourceVersion: "0" },
      "resourceVersion that is no number": { resourceVersion: "x" },
      "resourceVersion negative": { resourceVersion: "-1" },
      "match without resourceVersion": { resourceVersionMatch: "NotOlderThan" as const, limit: 1 },
      "exact zero": { resourceVersion: "0", resourceVersionMatch: "Exact" as const, limit: 1 },
      "not older than zero": { resourceVersion: "0", resourceVersionMatch: "NotOlderThan" as const },
    },
    async (probe, options) => {
      await filled(probe);
      await probe.list(ConfigMap, options);
    },
  ),
  ...casesOf(
    "watch options",
    {
      "resourceVersion that is no number": { resourceVersion: "x" },
      "wrong label selector": { labelSelector: "a!!b" },
      "wrong field selector": { fieldSelector: "data.k=v" },
      "first event": { labelSelector: "a=1" },
      "streaming list of nothing": { labelSelector: "a=none", sendInitialEvents: true, allowWatchBookmarks: true },
    },
    async (probe, options) => {
      await filled(probe);
      await probe.watch(ConfigMap, options);
    },
  ),
};

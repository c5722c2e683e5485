import { describe, expect, it } from "vitest";
import type { JsonObject } from "../../../base/json.ts";
import { humanDuration } from "./human-duration.ts";
import { findValues, parseJsonPath } from "./json-path.ts";
import { podStatus } from "./pod-columns.ts";
import { columnsOf } from "./resource-columns.ts";
import { selectorText } from "./selector-text.ts";

const NOW = Date.parse("2026-01-02T00:00:00Z");
const SECOND = 1000;
const HOUR = 3_600_000;
const DAY = 24 * HOUR;

describe("humanDuration", () => {
  it.each([
    [-5 * SECOND, "<invalid>"],
    [-SECOND, "0s"],
    [0, "0s"],
    [119 * SECOND, "119s"],
    [120 * SECOND, "2m"],
    [185 * SECOND, "3m5s"],
    [10 * 60 * SECOND, "10m"],
    [179 * 60 * SECOND, "179m"],
    [3 * HOUR, "3h"],
    [7.5 * HOUR, "7h30m"],
    [47 * HOUR, "47h"],
    [2 * DAY, "2d"],
    [3 * DAY + 4 * HOUR, "3d4h"],
    [8 * DAY, "8d"],
    [800 * DAY, "2y70d"],
    [730 * DAY, "2y"],
    [3000 * DAY, "8y"],
  ])("%d ms is %s", (ms, expected) => {
    expect(humanDuration(ms)).toBe(expected);
  });
});

describe("JSON paths", () => {
  const object = {
    metadata: { labels: { "app.kubernetes.io/name": "shop" } },
    status: {
      conditions: [
        { type: "Ready", status: "True" },
        { type: "Synced", status: "False", count: 3 },
      ],
    },
    list: [1, 2, 3],
  };
  it.each<[string, readonly unknown[]]>([
    [".status.conditions[0].type", ["Ready"]],
    [".status.conditions[*].status", ["True", "False"]],
    ['.status.conditions[?(@.type=="Synced")].status', ["False"]],
    [".status.conditions[?(@.type=='Ready')].status", ["True"]],
    [".status.conditions[?(@.count>=3)].type", ["Synced"]],
    [".status.conditions[?(@.count)].type", ["Synced"]],
    [".metadata.labels.app\\.kubernetes\\.io/name", ["shop"]],
    [".metadata.labels['app.kubernetes.io/name']", ["shop"]],
    [".list[-1]", [3]],
    [".nothing.there", []],
    [".list.constructor", []],
  ])("%s", (path, expected) => {
    const parsed = parseJsonPath(path);
    expect(parsed && findValues(parsed, object)).toEqual(expected);
  });

  it.each([".a[", ".a[?(@.b==)]", ".a[?(x", "a]b..c"])("does not understand %s", (path) => {
    expect(parseJsonPath(path)).toBeUndefined();
  });
});

describe("columns", () => {
  const row = (group: string, resource: string, object: JsonObject): Record<string, unknown> =>
    Object.fromEntries(columnsOf(group, resource, []).map((column) => [column.name, column.cell(object, NOW)]));
  const metadata = { name: "x", creationTimestamp: "2026-01-01T23:55:00Z" };

  it("shows a deployment", () => {
    const spec = {
      replicas: 3,
      selector: {
        matchLabels: { app: "web" },
        matchExpressions: [{ key: "tier", operator: "In", values: ["b", "a"] }],
      },
      template: {
        spec: {
          containers: [
            { name: "a", image: "i:1" },
            { name: "b", image: "i:2" },
          ],
        },
      },
    };
    const status = { readyReplicas: 1, updatedReplicas: 2, availableReplicas: 1 };
    expect(row("apps", "deployments", { metadata, spec, status })).toEqual({
      Name: "x",
      Ready: "1/3",
      "Up-to-date": "2",
      Available: "1",
      Age: "5m",
      Containers: "a,b",
      Images: "i:1,i:2",
      Selector: "app=web,tier in (a,b)",
    });
  });

  it("shows services by their type", () => {
    const service = (spec: JsonObject, status: JsonObject = {}) => row("", "services", { metadata, spec, status });
    expect(service({ type: "NodePort", clusterIP: "10.0.0.1", ports: [{ port: 80, nodePort: 30080 }] })).toMatchObject({
      Type: "NodePort",
      "Cluster-IP": "10.0.0.1",
      "External-IP": "<none>",
      "Port(s)": "80:30080/TCP",
    });
    expect(service({ type: "LoadBalancer" })).toMatchObject({ "External-IP": "<pending>" });
    const ingress = { loadBalancer: { ingress: [{ ip: "1.2.3.4" }, { hostname: "lb" }] } };
    expect(service({ type: "LoadBalancer" }, ingress)).toMatchObject({ "External-IP": "1.2.3.4,lb" });
  });

  it("shows an event with its latest time", () => {
    const event = {
      metadata,
      firstTimestamp: "2026-01-01T23:00:00Z",
      lastTimestamp: "2026-01-01T23:59:30Z",
      type: "Warning",
      reason: "Failed",
      message: "no luck \n",
      involvedObject: { kind: "Pod", name: "p" },
      source: { component: "kubelet", host: "n1" },
      count: 4,
    };
    expect(row("", "events", event)).toEqual({
      "Last Seen": "30s",
      Type: "Warning",
      Reason: "Failed",
      Object: "pod/p",
      Subobject: "",
      Source: "kubelet, n1",
      Message: "no luck",
      "First Seen": "60m",
      Count: "4",
      Name: "x",
    });
  });

  it("shows kinds without a printer by name and time, custom ones by name and age", () => {
    const creationTimestamp = metadata.creationTimestamp;
    expect(row("rbac.authorization.k8s.io", "roles", { metadata })).toEqual({
      Name: "x",
      "Created At": creationTimestamp,
    });
    expect(row("example.com", "widgets", { metadata })).toEqual({ Name: "x", Age: "5m" });
  });

  it("leaves cells of a CRD empty when the value is missing or of another type", () => {
    const columns = columnsOf("example.com", "widgets", [
      { name: "N", type: "integer", jsonPath: ".spec.n" },
      { name: "When", type: "date", jsonPath: ".spec.when" },
      { name: "Text", type: "string", jsonPath: ".spec.object" },
      { name: "Bad", type: "string", jsonPath: ".a[" },
    ]);
    const cells = (spec: JsonObject) => columns.slice(1).map((column) => column.cell({ metadata, spec }, NOW));
    expect(cells({ n: 2.5, when: "2026-01-01T00:00:00Z", object: { a: 1 } })).toEqual([2, "24h", '{"a":1}', null]);
    expect(cells({ n: "2", when: 5 })).toEqual([null, null, null, null]);
  });
});

describe("podStatus", () => {
  const waiting = (reason: string) => ({ state: { waiting: { reason } } });
  it.each<[string, JsonObject]>([
    ["Pending", { status: { phase: "Pending" } }],
    ["CrashLoopBackOff", { status: { phase: "Running", containerStatuses: [waiting("CrashLoopBackOff")] } }],
    ["Error", { status: { phase: "Failed", containerStatuses: [{ state: { terminated: { reason: "Error" } } }] } }],
    ["ExitCode:3", { status: { phase: "Failed", containerStatuses: [{ state: { terminated: { exitCode: 3 } } }] } }],
    [
      "Init:0/1",
      {
        spec: { initContainers: [{ name: "i" }] },
        status: { phase: "Pending", initContainerStatuses: [{ name: "i", state: { running: {} } }] },
      },
    ],
    ["Terminating", { metadata: { deletionTimestamp: "2026-01-01T00:00:00Z" }, status: { phase: "Running" } }],
    ["Evicted", { status: { phase: "Failed", reason: "Evicted" } }],
    [
      "SchedulingGated",
      { status: { phase: "Pending", conditions: [{ type: "PodScheduled", reason: "SchedulingGated" }] } },
    ],
  ])("%s", (expected, pod) => {
    expect(podStatus(pod)).toBe(expected);
  });
});

describe("selectorText", () => {
  it("writes every operator", () => {
    const matchExpressions = [
      { key: "a", operator: "Exists" },
      { key: "b", operator: "DoesNotExist" },
      { key: "c", operator: "NotIn", values: ["x"] },
    ];
    expect(selectorText({ matchExpressions })).toBe("a,!b,c notin (x)");
    expect(selectorText({})).toBe("<none>");
  });
});

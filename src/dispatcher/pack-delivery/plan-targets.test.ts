import { describe, expect, it } from "vitest";
import type { PackDelivery, PackDeliverySpec } from "../../api/kinds/pack-delivery.ts";
import type { PackExecution, PackExecutionStatus } from "../../api/kinds/pack-execution.ts";
import type { PackInstalled } from "../../api/kinds/pack-installed.ts";
import type { TalosCluster } from "../../api/kinds/talos-cluster.ts";
import { aggregate, targetStatuses } from "./delivery-status.ts";
import { type TargetPlan, type TargetView, planTargets } from "./plan-targets.ts";
import { targetSet } from "./target-set.ts";

const DIGEST = `sha256:${"0".repeat(64)}`;

function delivery(spec: Partial<PackDeliverySpec> = {}): PackDelivery {
  return {
    apiVersion: "seam.ontai.dev/v1alpha1",
    kind: "PackDelivery",
    metadata: { name: "hello-v1", namespace: "seam-system", uid: "d1" },
    spec: { version: "v1", registryRef: { url: "r.example/hello", digest: DIGEST }, ...spec },
  };
}

function execution(phase?: PackExecutionStatus["phase"], reason?: string): PackExecution {
  return {
    apiVersion: "seam.ontai.dev/v1alpha1",
    kind: "PackExecution",
    metadata: { name: "hello-v1-c", namespace: "seam-tenant-c" },
    spec: { clusterPackRef: { name: "hello-v1", version: "v1" }, targetClusterRef: "c" },
    status: {
      ...(phase === undefined ? {} : { phase }),
      ...(reason === undefined ? {} : { lastFailure: { reason } }),
    },
  };
}

function installed(uid: string): PackInstalled {
  return {
    apiVersion: "seam.ontai.dev/v1alpha1",
    kind: "PackInstalled",
    metadata: { name: "hello-c", namespace: "seam-tenant-c" },
    spec: { clusterPackRef: "hello-v1", packDeliveryUID: uid, version: "v1", targetClusterRef: "c" },
  };
}

const FRESH: TargetView = {
  cluster: "c",
  home: "ready",
  permitted: true,
  excluded: false,
  supersededBy: undefined,
  execution: undefined,
  sameSeal: false,
  installed: undefined,
  reportedVersion: undefined,
};

function plan(view: Partial<TargetView>, spec: Partial<PackDeliverySpec> = {}): TargetPlan | undefined {
  return planTargets(delivery(spec), [{ ...FRESH, ...view }])[0];
}

describe("planTargets (dispatcher §4.2)", () => {
  it("goes through the table in its order", () => {
    expect(plan({})).toMatchObject({ phase: "Pending", action: "create" });
    expect(plan({ home: "missing", supersededBy: "v2" })).toMatchObject({ phase: "WaitingForCluster", action: "none" });
    expect(plan({ home: "deleting" })).toMatchObject({ reason: "ClusterDeleting", action: "none" });
    expect(plan({ permitted: false })).toMatchObject({ phase: "Failed", reason: "TargetNotPermitted", action: "none" });
    expect(plan({ excluded: true })).toMatchObject({ phase: "Excluded", action: "none" });
    expect(plan({ excluded: true, installed: installed("d1") })).toMatchObject({
      phase: "Excluded",
      action: "uninstall",
    });
    expect(plan({ excluded: true, installed: installed("successor") })).toMatchObject({ action: "none" });
    expect(plan({ supersededBy: "v2", execution: execution("Running"), sameSeal: true })).toMatchObject({
      phase: "Superseded",
      action: "none",
    });
    expect(plan({ execution: execution("Running"), sameSeal: false })).toMatchObject({ action: "replace" });
  });

  it("mirrors its execution, with the reason of a failure", () => {
    expect(plan({ execution: execution(), sameSeal: true })).toMatchObject({ phase: "Pending", action: "none" });
    expect(plan({ execution: execution("Failed", "DigestMismatch"), sameSeal: true })).toMatchObject({
      phase: "Failed",
      reason: "DigestMismatch",
    });
    expect(
      plan({ execution: execution("Succeeded"), sameSeal: true, installed: installed("d1"), reportedVersion: "v1" }),
    ).toEqual({
      cluster: "c",
      packExecution: "hello-v1-c",
      installedVersion: "v1",
      phase: "Installed",
      action: "none",
    });
  });

  it("delivers again what was installed and is gone, and what is current again", () => {
    expect(plan({ execution: execution("Succeeded"), sameSeal: true })).toMatchObject({ action: "replace" });
    expect(plan({ execution: execution("Cancelled"), sameSeal: true })).toMatchObject({ action: "replace" });
  });

  it("holds back by the rollout: order, concurrency, and failures", () => {
    const clusters = ["a", "b", "c", "d"];
    const views = clusters.map((cluster) => Object.assign({}, FRESH, { cluster }));
    const rollout = { maxConcurrent: 2, order: ["d", "b"] };
    const plans = planTargets(delivery({ rollout }), views);
    expect(plans.map(({ cluster, action }) => [cluster, action])).toEqual([
      ["a", "none"],
      ["b", "create"],
      ["c", "none"],
      ["d", "create"],
    ]);
    expect(plans[0]?.reason).toBe("RolloutWaiting");
    const failing = [
      { ...FRESH, cluster: "a", execution: execution("Failed"), sameSeal: true },
      { ...FRESH, cluster: "b" },
    ];
    expect(planTargets(delivery({ rollout: {} }), failing)[1]).toMatchObject({
      action: "none",
      reason: "RolloutStopped",
    });
    expect(planTargets(delivery({ rollout: { onFailure: "Continue" } }), failing)[1]).toMatchObject({
      action: "create",
    });
    expect(planTargets(delivery({ rollout: { maxFailures: 1 } }), failing)[1]).toMatchObject({ action: "create" });
  });
});

describe("aggregate", () => {
  const of = (...phases: TargetPlan["phase"][]): readonly TargetPlan[] =>
    phases.map((phase, i) => ({ cluster: `c${i}`, phase, action: "none" }));
  const delivered = (...phases: TargetPlan["phase"][]): string => {
    const { summary, conditions } = aggregate(of(...phases));
    const [condition] = conditions;
    return `${summary} ${condition?.status ?? ""}/${condition?.reason ?? ""}`;
  };

  it("says how far the delivery is", () => {
    expect(delivered()).toBe("0/0 Unknown/NoTargets");
    expect(delivered("Installed", "Installed")).toBe("2/2 True/AllTargetsInstalled");
    expect(delivered("Installed", "Running")).toBe("1/2 False/Progressing");
    expect(delivered("Installed", "Failed", "Running")).toBe("1/3 False/SomeTargetsFailed");
    expect(delivered("Installed", "Excluded")).toBe("1/1 True/AllTargetsInstalled");
    expect(delivered("Superseded", "Superseded")).toBe("0/2 False/Progressing");
    expect(aggregate(of("Superseded", "Superseded")).conditions[1]).toMatchObject({
      type: "Superseded",
      status: "True",
    });
    expect(aggregate(of("Superseded", "Installed")).conditions[1]).toMatchObject({ status: "False" });
  });

  it("moves a target's transition time only when its phase changes", () => {
    const T0 = Date.UTC(2026, 0, 1);
    const first = targetStatuses(of("Running"), [], T0);
    expect(targetStatuses(of("Running"), first, T0 + 5000)[0]?.lastTransitionTime).toBe("2026-01-01T00:00:00Z");
    expect(targetStatuses(of("Installed"), first, T0 + 5000)[0]?.lastTransitionTime).toBe("2026-01-01T00:00:05Z");
  });
});

describe("targetSet", () => {
  const cluster = (name: string, labels: Readonly<Record<string, string>>): TalosCluster => ({
    apiVersion: "seam.ontai.dev/v1alpha1",
    kind: "TalosCluster",
    metadata: { name, namespace: `seam-tenant-${name}`, labels },
    spec: { mode: "import", role: "tenant" },
  });
  const clusters = [cluster("a", { region: "east" }), cluster("b", { region: "west", tier: "edge" }), cluster("c", {})];
  const select = (selector: PackDeliverySpec["targetClusterSelector"]): readonly string[] => [
    ...targetSet(delivery(selector === undefined ? {} : { targetClusterSelector: selector }), clusters),
  ];

  it("joins names and selector, with the semantics of label selectors", () => {
    expect(select(undefined)).toEqual([]);
    expect(select({})).toEqual(["a", "b", "c"]);
    expect(select({ matchLabels: { region: "east" } })).toEqual(["a"]);
    expect(select({ matchExpressions: [{ key: "region", operator: "In", values: ["east", "west"] }] })).toEqual([
      "a",
      "b",
    ]);
    expect(select({ matchExpressions: [{ key: "region", operator: "NotIn", values: ["east"] }] })).toEqual(["b", "c"]);
    expect(select({ matchExpressions: [{ key: "tier", operator: "Exists" }] })).toEqual(["b"]);
    expect(select({ matchExpressions: [{ key: "tier", operator: "DoesNotExist" }] })).toEqual(["a", "c"]);
    expect([
      ...targetSet(
        delivery({ targetClusters: ["z", "a"], targetClusterSelector: { matchLabels: { tier: "edge" } } }),
        clusters,
      ),
    ]).toEqual(["a", "b", "z"]);
  });
});

import { describe, expect, it } from "vitest";
import { packSources } from "../artifact/build-pack.ts";
import { objectIdentity } from "../artifact/pack-object.ts";
import { executionOrder, plannedInventory } from "./execution-order.ts";
import { removalOrder } from "./removal-order.ts";

const object = (apiVersion: string, kind: string, name: string, namespace = "apps", more: object = {}) =>
  JSON.stringify({ apiVersion, kind, metadata: { name, ...(namespace === "" ? {} : { namespace }), ...more } });

const PACK = [
  object("policy/v1", "PodDisruptionBudget", "pdb"),
  object("apps/v1", "Deployment", "web"),
  object("example.org/v1", "Widget", "w"),
  object("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", "hook", ""),
  object("v1", "Service", "web"),
  object("v1", "ConfigMap", "late", "apps", { annotations: { "ontai.dev/wave": "5" } }),
  object("v1", "ConfigMap", "zzz"),
  object("v1", "ConfigMap", "early", "apps", { annotations: { "ontai.dev/wave": "-1" } }),
  object("apps/v1", "StatefulSet", "db"),
  object("batch/v1", "Job", "migrate"),
  object("v1", "PersistentVolumeClaim", "data"),
  object("storage.k8s.io/v1", "StorageClass", "fast", ""),
  object("scheduling.k8s.io/v1", "PriorityClass", "high", ""),
  JSON.stringify({
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: "widgets.example.org" },
    spec: { group: "example.org", scope: "Namespaced", names: { kind: "Widget", plural: "widgets" } },
  }),
  object("cert-manager.io/v1", "ClusterIssuer", "ca", ""),
  object("rbac.authorization.k8s.io/v1", "RoleBinding", "rb"),
  object("rbac.authorization.k8s.io/v1", "Role", "r"),
  object("v1", "ServiceAccount", "sa"),
];

async function documents() {
  return (
    await packSources(
      "x",
      PACK.map((text, i) => ({ file: `${i}.json`, text })),
    )
  ).documents;
}

const transcript = (steps: ReturnType<typeof executionOrder>) =>
  steps.map(
    (step) =>
      `${step.name}${step.barrier ? " |" : ""}: ` +
      step.groups
        .map((g) => g.documents.map((d) => `${d.object.kind}/${d.object.metadata.name}`).join(" "))
        .join(" > "),
  );

describe("executionOrder", () => {
  it("goes namespaces, RBAC, cluster scope with CRDs first, supporting objects, stages, webhooks", async () => {
    expect(transcript(executionOrder(await documents()))).toEqual([
      "apply-namespaces: Namespace/apps",
      "apply-rbac-tenant: ServiceAccount/sa > Role/r > RoleBinding/rb",
      "apply-cluster-scoped: CustomResourceDefinition/widgets.example.org > PriorityClass/high > StorageClass/fast",
      "apply-workload: ConfigMap/early > ConfigMap/zzz > ConfigMap/late > Service/web",
      "stage:storage |: PersistentVolumeClaim/data",
      "stage:stateful |: StatefulSet/db > Job/migrate",
      "stage:stateless |: Deployment/web > PodDisruptionBudget/pdb > ClusterIssuer/ca Widget/w",
      "apply-webhooks: ValidatingWebhookConfiguration/hook",
    ]);
  });

  it("puts declared stages first, pins objects in their order, and leaves nothing out", async () => {
    const all = await documents();
    const steps = executionOrder(all, [
      { name: "stateless", manifests: ["policy/PodDisruptionBudget/apps/pdb", "/ConfigMap/apps/zzz"] },
      { name: "stateful" },
    ]);
    expect(transcript(steps).slice(4)).toEqual([
      "stage:stateless |: PodDisruptionBudget/pdb > ConfigMap/zzz > Deployment/web > ClusterIssuer/ca Widget/w",
      "stage:stateful |: StatefulSet/db > Job/migrate",
      "stage:storage |: PersistentVolumeClaim/data",
      "apply-webhooks: ValidatingWebhookConfiguration/hook",
    ]);
    const applied = steps.flatMap((s) => s.groups.flatMap((g) => g.documents.map((d) => objectIdentity(d.object))));
    expect([...applied].sort()).toEqual(all.map((d) => objectIdentity(d.object)).sort());
  });

  it("numbers the inventory in apply order", async () => {
    const inventory = plannedInventory(await documents());
    expect(inventory.map((ref) => ref.order)).toEqual(inventory.map((_, i) => i));
    expect(inventory.find((ref) => ref.kind === "StatefulSet")).toMatchObject({
      stage: "stateful",
      bucket: "workload",
      namespace: "apps",
    });
  });
});

describe("removalOrder", () => {
  it("deletes webhooks, custom resources, workloads, configuration, claims, RBAC, cluster scope, CRDs, namespaces", async () => {
    expect(
      removalOrder(plannedInventory(await documents())).map((wave) => wave.map((ref) => ref.kind).join(" ")),
    ).toEqual([
      "ValidatingWebhookConfiguration",
      "Widget ClusterIssuer",
      "PodDisruptionBudget Deployment Job StatefulSet Service",
      "ConfigMap ConfigMap ConfigMap",
      "PersistentVolumeClaim",
      "RoleBinding Role ServiceAccount",
      "StorageClass PriorityClass",
      "CustomResourceDefinition",
      "Namespace",
    ]);
  });
});

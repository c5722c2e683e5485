import { describe, expect, it } from "vitest";
import type { PackDelivery } from "../../../api/kinds/pack-delivery.ts";
import type { RunnerCapability, RunnerConfig, RunnerConfigSpec } from "../../../api/kinds/runner-config.ts";
import type { TalosCluster } from "../../../api/kinds/talos-cluster.ts";
import { type RunnerConfigEvidence, runnerConfigViolations, specDigestOf } from "./runner-config-rules.ts";

const SPEC: RunnerConfigSpec = {
  clusterRef: "tenant-1",
  runnerImage: "registry.example/conductor-exec:v1.9.3-r2",
  steps: [
    { name: "backup", capability: "etcd-backup", parameters: { bucket: "b", retries: "3" } },
    { name: "deploy", capability: "pack-deploy", parameters: { clusterPackRef: "web-v1" }, dependsOn: "backup" },
  ],
};
const CAPABILITIES: readonly RunnerCapability[] = [
  {
    name: "etcd-backup",
    version: "1",
    parameterSchema: {
      type: "object",
      required: ["bucket"],
      properties: { bucket: { type: "string" }, retries: { type: "integer", minimum: 1 } },
    },
  },
  { name: "pack-deploy", version: "1", parameterSchema: { properties: { clusterPackRef: { type: "string" } } } },
  { name: "cluster-reset", version: "1" },
];
const author = (manager: string, subresource = "") => ({
  manager,
  operation: "Apply" as const,
  apiVersion: "seam.ontai.dev/v1alpha1",
  fieldsType: "FieldsV1" as const,
  fieldsV1: { "f:spec": {} },
  ...(subresource === "" ? {} : { subresource }),
});
const delivery = (signed: boolean, revoked = false): PackDelivery => ({
  apiVersion: "seam.ontai.dev/v1alpha1",
  kind: "PackDelivery",
  metadata: { name: "web-v1" },
  spec: {
    version: "v1",
    basePackName: "web",
    registryRef: { url: "x", digest: "x" },
    checksum: "x",
    targetClusters: [],
  },
  status: {
    signed,
    conditions: revoked
      ? [
          {
            type: "Revoked",
            status: "True",
            reason: "PackRevoked",
            message: "",
            lastTransitionTime: "2026-01-01T00:00:00Z",
          },
        ]
      : [],
  },
});

interface Change {
  readonly spec?: Partial<RunnerConfigSpec>;
  readonly metadata?: Partial<RunnerConfig["metadata"]>;
  readonly status?: RunnerConfig["status"];
  readonly evidence?: Partial<RunnerConfigEvidence>;
}

function judge({ spec, metadata, status, evidence }: Change = {}): readonly string[] {
  const runnerConfig: RunnerConfig = {
    apiVersion: "seam.ontai.dev/v1alpha1",
    kind: "RunnerConfig",
    metadata: { name: "op-1", namespace: "seam-tenant-tenant-1", managedFields: [author("platform")], ...metadata },
    spec: { ...SPEC, ...spec },
    ...(status === undefined ? {} : { status }),
  };
  const talosCluster: TalosCluster = {
    apiVersion: "seam.ontai.dev/v1alpha1",
    kind: "TalosCluster",
    metadata: { name: "tenant-1" },
    spec: { mode: "import", talosVersion: "1.9.1" },
  };
  return runnerConfigViolations({
    cluster: "tenant-1",
    namespace: "seam-tenant-tenant-1",
    name: "op-1",
    specDigest: "",
    runnerConfig,
    capabilities: CAPABILITIES,
    talosCluster,
    delivery: (name) => (name === "web-v1" ? delivery(true) : undefined),
    allowDevelopmentImages: false,
    ...evidence,
  }).map(({ code, field, message }) => `${code} ${field}: ${message}`);
}

const step = (capability: string, parameters: Readonly<Record<string, string>> = {}) => ({
  steps: [{ name: "only", capability, parameters }],
});

describe("rules of RunnerConfigs (conductor §4.13)", () => {
  it("approves what breaks none", () => {
    expect(judge()).toEqual([]);
    expect(judge({ evidence: { specDigest: specDigestOf(SPEC) } })).toEqual([]);
    expect(judge({ metadata: { managedFields: [author("platform"), author("conductor-hub", "status")] } })).toEqual([]);
  });

  it.each<[string, Change, readonly string[]]>([
    [
      "V1: no such object",
      { evidence: { runnerConfig: undefined } },
      [
        "V1 metadata: expected RunnerConfig op-1 exists in ont-system or seam-tenant-tenant-1, asked for seam-tenant-tenant-1",
      ],
    ],
    [
      "V1: another cluster's namespace, whether or not it exists there",
      { evidence: { namespace: "seam-tenant-tenant-2" } },
      [
        "V1 metadata: expected RunnerConfig op-1 exists in ont-system or seam-tenant-tenant-1, asked for seam-tenant-tenant-2",
      ],
    ],
    [
      "V1: another cluster's object",
      { spec: { clusterRef: "tenant-2" } },
      ["V1 spec.clusterRef: expected tenant-1 as in the certificate, found tenant-2"],
    ],
    [
      "V1: another spec than the asker holds",
      { evidence: { specDigest: "sha256:0" } },
      ["V1 spec: expected the spec that the asker holds; it differs from the one on the management cluster"],
    ],
    [
      "V2: deleting",
      { metadata: { deletionTimestamp: "2026-01-01T00:00:00Z" } },
      ["V2 metadata.deletionTimestamp: expected not being deleted"],
    ],
    ["V2: over", { status: { phase: "Failed" } }, ["V2 status.phase: expected not over, found Failed"]],
    ["V3: nothing to do", { spec: { steps: [] } }, ["V3 spec.steps: expected at least one step"]],
    [
      "V3: names and order",
      {
        spec: {
          steps: [
            { name: "A b", capability: "cluster-reset", dependsOn: "late" },
            { name: "late", capability: "pack-deploy" },
            { name: "late", capability: "pack-deploy" },
          ],
        },
        metadata: { annotations: { "ontai.dev/reset-approved": "true" } },
      },
      [
        "V3 spec.steps[0].name: expected a DNS label, found A b",
        "V3 spec.steps[0].dependsOn: expected the name of an earlier step, found late",
        "V3 spec.steps[2].name: expected a name of its own, late is taken",
      ],
    ],
    [
      "V4: not published",
      { spec: step("teleport") },
      ["V4 spec.steps[0].capability: expected a capability that the executor published, found teleport"],
    ],
    [
      "V5: unknown, missing and wrong parameters",
      { spec: step("etcd-backup", { retries: "none", colour: "red" }) },
      [
        "V5 spec.steps[0].parameters.colour: expected a parameter of etcd-backup: bucket, retries",
        "V5 spec.steps[0].parameters: expected must have required property 'bucket'",
        "V5 spec.steps[0].parameters.retries: expected must be integer",
      ],
    ],
    [
      "V5: none without a schema",
      {
        spec: step("cluster-reset", { now: "yes" }),
        metadata: { annotations: { "ontai.dev/reset-approved": "true" } },
      },
      ["V5 spec.steps[0].parameters.now: expected a parameter of cluster-reset: none"],
    ],
    [
      "V6: another Talos",
      { spec: { runnerImage: "r/conductor-exec:v1.8.9-r1" } },
      ["V6 spec.runnerImage: expected an image for Talos 1.9.1, found v1.8.9-r1"],
    ],
    [
      "V6: development",
      { spec: { runnerImage: "r:5000/conductor-exec:dev-rc3" } },
      ["V6 spec.runnerImage: expected a stable tag v{talosVersion}-r{revision}, found dev-rc3"],
    ],
    [
      "V6: no tag",
      { spec: { runnerImage: "r:5000/conductor-exec" } },
      ["V6 spec.runnerImage: expected a tag v{talosVersion}-r{revision}, found none"],
    ],
    [
      "V6: two tags",
      { spec: { agentImage: "r/conductor:v1.9.3-r1" } },
      ["V6 spec.agentImage: expected the tag of runnerImage, v1.9.3-r2, found v1.9.3-r1"],
    ],
    [
      "V7: itself, anywhere",
      { spec: { selfOperation: true } },
      ["V7 spec.selfOperation: expected maintenanceTargetNodes or operatorLeaderNode with it"],
    ],
    [
      "V7: nodes of another cluster's operation",
      { spec: { operatorLeaderNode: "n1" } },
      ["V7 spec.operatorLeaderNode: expected empty without selfOperation"],
    ],
    [
      "V8: by hand",
      { metadata: { managedFields: [author("platform"), author("kubectl-edit")] } },
      ["V8 metadata.managedFields: expected a spec written by platform alone, found kubectl-edit"],
    ],
    [
      "V8: nobody's",
      { metadata: { managedFields: [] } },
      ["V8 metadata.managedFields: expected a spec written by platform alone, found nobody"],
    ],
    [
      "V9: no such pack",
      { spec: step("pack-deploy", { clusterPackRef: "db" }) },
      ["V9 spec.steps[0].parameters.clusterPackRef: expected an existing PackDelivery, found db"],
    ],
    [
      "V9: not signed",
      { evidence: { delivery: () => delivery(false) } },
      ["V9 spec.steps[1].parameters.clusterPackRef: expected a signed pack: web-v1"],
    ],
    [
      "V9: revoked",
      { evidence: { delivery: () => delivery(true, true) } },
      ["V9 spec.steps[1].parameters.clusterPackRef: expected a pack that is not revoked: web-v1"],
    ],
    [
      "V10: destructive without a person",
      { spec: step("cluster-reset") },
      [
        'V10 metadata.annotations[ontai.dev/reset-approved]: expected "true", set by a person: step 0 runs cluster-reset, which destroys',
      ],
    ],
  ])("%s", (_, change, expected) => {
    expect(judge(change)).toEqual(expected);
  });

  it("lets development images run where that is allowed, and any version where the cluster declares none", () => {
    expect(judge({ spec: { runnerImage: "r/x:dev" }, evidence: { allowDevelopmentImages: true } })).toEqual([]);
    expect(judge({ evidence: { talosCluster: undefined } })).toEqual([]);
  });
});

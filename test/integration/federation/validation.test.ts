import { afterEach, beforeAll, afterAll, describe, expect, it } from "vitest";
import { RunnerConfig } from "../../../src/api/kinds/runner-config.ts";
import { FIELD_MANAGERS, tenantNamespace } from "../../../src/api/names.ts";
import { silentLog } from "../../../src/base/log.ts";
import { systemRandom } from "../../../src/base/random.ts";
import { answerRequests } from "../../../src/federation/hub/requests/answer-requests.ts";
import { askValidation } from "../../../src/federation/spoke/requests/ask-validation.ts";
import { FederationRig, until } from "../../support/federation-rig.ts";
import { type TestManagementCluster, openManagementCluster } from "../../support/management-cluster.ts";

const TENANT = "tenant-1";

describe("RunnerConfig validation over the stream (conductor §4.13)", () => {
  let management: TestManagementCluster;
  let rig: FederationRig | undefined;
  let count = 0;

  beforeAll(async () => {
    management = await openManagementCluster();
    await management.addTenant(TENANT);
  });
  afterEach(async () => {
    await rig?.close();
    rig = undefined;
  });
  afterAll(() => management.close());

  const generated = (fieldManager: string): Promise<RunnerConfig> =>
    management.cluster.create(
      RunnerConfig,
      {
        apiVersion: "seam.ontai.dev/v1alpha1",
        kind: "RunnerConfig",
        metadata: { name: `op-${++count}`, namespace: tenantNamespace(TENANT) },
        spec: {
          clusterRef: TENANT,
          runnerImage: "r/conductor-exec:v1.9.0-r1",
          steps: [{ name: "a", capability: "node-reboot" }],
        },
      },
      { fieldManager },
    );
  const publish = async (): Promise<void> => {
    const board = await management.cluster.get(RunnerConfig, { namespace: "ont-system", name: TENANT });
    const status = { capabilities: [{ name: "node-reboot", version: "1" }] };
    await management.cluster.updateStatus(RunnerConfig, { ...board, status });
  };
  const onRequest = () =>
    answerRequests({ cluster: management.cluster, allowDevelopmentImages: false, log: silentLog });

  it("approves what Platform generated, and says every rule that something else breaks", async () => {
    await publish();
    rig = await FederationRig.create([TENANT]);
    await rig.hub({ onRequest: onRequest() });
    const { spoke } = await rig.spoke(TENANT);
    await until(() => spoke.status().connected, "the agent is connected");
    const good = await generated(FIELD_MANAGERS.platform);
    expect(await askValidation(spoke, good, systemRandom)).toEqual({ approved: true, evaluatedGeneration: 1 });
    const byHand = await generated("kubectl");
    expect(await askValidation(spoke, byHand, systemRandom)).toMatchObject({
      approved: false,
      reason: "Violations",
      violations: [{ code: "V8", field: "metadata.managedFields" }],
    });
    const other = { ...good, spec: { ...good.spec, steps: [{ name: "a", capability: "cluster-reset" }] } };
    expect(await askValidation(spoke, other, systemRandom)).toMatchObject({
      violations: [{ code: "V1", field: "spec" }],
    });
    const elsewhere = { ...good, metadata: { ...good.metadata, namespace: "seam-tenant-tenant-2" } };
    expect(await askValidation(spoke, elsewhere, systemRandom)).toMatchObject({ violations: [{ code: "V1" }] });
  });

  it("fails closed without a stream, when the stream ends, and at a hub that does not answer or does not know", async () => {
    rig = await FederationRig.create([TENANT]);
    const runnerConfig = await generated(FIELD_MANAGERS.platform);
    await (await rig.hub()).stop();
    const { spoke } = await rig.spoke(TENANT);
    expect(await askValidation(spoke, runnerConfig, systemRandom)).toMatchObject({
      approved: false,
      reason: "FederationChannelDegraded",
    });
    const silent = await rig.hub({ onRequest: () => new Promise(() => {}) });
    await until(() => spoke.status().connected, "the agent is connected");
    const asked = askValidation(spoke, runnerConfig, systemRandom);
    await silent.stop();
    expect(await asked).toMatchObject({ approved: false, reason: "FederationChannelDegraded" });
    await rig.hub();
    await until(() => spoke.status().connected, "the agent is connected again", 20_000);
    expect(await askValidation(spoke, runnerConfig, systemRandom)).toMatchObject({
      approved: false,
      reason: "Violations",
      detail: "this hub does not validate RunnerConfigs",
    });
  });

  it("refuses at the deadline", async () => {
    rig = await FederationRig.create([TENANT]);
    await rig.hub({ onRequest: () => new Promise(() => {}) });
    const { spoke } = await rig.spoke(TENANT);
    await until(() => spoke.status().connected, "the agent is connected");
    const hurried = {
      request: (request: Parameters<typeof spoke.request>[0]) => spoke.request(request, 50),
    };
    expect(await askValidation(hurried, await generated(FIELD_MANAGERS.platform), systemRandom)).toMatchObject({
      approved: false,
      reason: "DeadlineExceeded",
    });
  });
});

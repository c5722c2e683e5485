import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openTenantCluster, type TestTenantCluster } from "../../../test/support/tenant-cluster.ts";
import { ConfigMap, Namespace } from "../../api/builtin.ts";
import { systemClock } from "../../base/clock.ts";
import { silentLog } from "../../base/log.ts";
import { systemRandom } from "../../base/random.ts";
import { ApiStatusError } from "../../cluster/api-status-error.ts";
import { applyPack } from "../apply/apply-pack.ts";
import type { ApplyParts } from "../apply/pack-application.ts";
import { packSources } from "../artifact/build-pack.ts";
import { checkPack, driftSummary } from "./check-pack.ts";

/** A busy machine is no failure. */
const PATIENT = { timeout: 20_000, interval: 10 };

const TEXT = (namespace: string) => `
apiVersion: v1
kind: ConfigMap
metadata: { name: a, namespace: ${namespace} }
data: { value: "1" }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: ${namespace} }
spec:
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      containers:
        - name: main
          image: web:1
          ports: [{ containerPort: 80 }]
          env: [{ name: A, value: "1" }]
          resources: { limits: { cpu: 1000m, memory: 0.5Gi } }
      volumes: [{ name: tmp, emptyDir: {} }]
`;

describe("checkPack", () => {
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

  async function deploy() {
    const namespace = `check${++count}`;
    const { documents } = await packSources("x", [{ file: "a.yaml", text: TEXT(namespace) }]);
    const application = { packInstalled: `${namespace}-east`, pack: namespace, version: "v1", lifecyclePolicies: {} };
    const inventory = await applyPack(parts, {
      ...application,
      documents,
      inventory: [],
      record: () => Promise.resolve(),
      timeoutMs: 10_000,
    });
    return {
      namespace,
      check: (over: Partial<ApplyParts> = {}) => checkPack({ ...parts, ...over }, application, documents, inventory),
    };
  }

  it("finds nothing right after an apply, whatever the server made of it", async () => {
    const { check } = await deploy();
    expect(await check()).toMatchObject({ status: "InSync", checked: 3 });
  });

  it("says Unknown, never drift, when the cluster does not answer", async () => {
    const { check } = await deploy();
    const { cluster } = tenant;
    const deaf = {
      list: cluster.list.bind(cluster),
      watch: cluster.watch.bind(cluster),
      create: cluster.create.bind(cluster),
      update: cluster.update.bind(cluster),
      updateStatus: cluster.updateStatus.bind(cluster),
      patch: cluster.patch.bind(cluster),
      delete: cluster.delete.bind(cluster),
      discover: cluster.discover.bind(cluster),
      get: () => Promise.reject(new ApiStatusError(503, "ServiceUnavailable", "not now")),
    };
    const found = await check({ cluster: deaf });
    expect(found).toMatchObject({ status: "Unknown", drifted: [] });
    expect(driftSummary(found)).toMatch(/^cannot be checked: .*: not now$/);
  });

  it("waits for a namespace that is being deleted", async () => {
    const { namespace, check } = await deploy();
    await tenant.cluster.create(ConfigMap, {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "holds", namespace, finalizers: ["example.org/hold"] },
    });
    await tenant.cluster.delete(Namespace, { name: namespace });
    await expect
      .poll(
        () =>
          tenant.cluster.get(ConfigMap, { namespace, name: "a" }).then(
            () => "there",
            () => "gone",
          ),
        PATIENT,
      )
      .toBe("gone");
    expect(await check()).toMatchObject({ status: "InSync", drifted: [] });
    await tenant.cluster.patch(
      ConfigMap,
      { namespace, name: "holds" },
      { type: "merge", body: { metadata: { finalizers: null } } },
    );
    await expect
      .poll(async () => driftSummary(await check()), PATIENT)
      .toBe(
        `Namespace ${namespace} is missing; ConfigMap ${namespace}/a is missing; Deployment ${namespace}/web is missing`,
      );
  });

  it("reads like a sentence", async () => {
    const { namespace, check } = await deploy();
    await tenant.cluster.patch(
      ConfigMap,
      { namespace, name: "a" },
      { type: "merge", body: { data: { value: "2" } } },
      { fieldManager: "kubectl-edit" },
    );
    expect(driftSummary(await check())).toBe(
      `ConfigMap ${namespace}/a differs at /data/value (last written by kubectl-edit)`,
    );
  });
});

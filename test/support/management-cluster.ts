import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CustomResourceDefinition, Namespace } from "../../src/api/builtin.ts";
import { loadCrds } from "../../src/api/kinds/crds.ts";
import { RunnerConfig } from "../../src/api/kinds/runner-config.ts";
import { TalosCluster } from "../../src/api/kinds/talos-cluster.ts";
import { NAMESPACES, tenantNamespace } from "../../src/api/names.ts";
import { type Clock, systemClock } from "../../src/base/clock.ts";
import { silentLog } from "../../src/base/log.ts";
import { systemRandom } from "../../src/base/random.ts";
import { type EmbeddedCluster, openEmbeddedCluster } from "../../src/cluster/embedded/embedded-cluster.ts";

/** An embedded management cluster for one test file. */
export interface TestManagementCluster {
  readonly cluster: EmbeddedCluster;
  /** Aborts when the test file ends: for what the tests start on it. */
  readonly signal: AbortSignal;
  /** Adds the objects that make a tenant known: namespace, TalosCluster, RunnerConfig. */
  addTenant(name: string): Promise<void>;
  /** Stops everything and removes the folder. */
  close(): Promise<void>;
}

/** Opens an embedded cluster with every CRD of the system and its two namespaces. */
export async function openManagementCluster(clock: Clock = systemClock): Promise<TestManagementCluster> {
  const directory = await mkdtemp(join(tmpdir(), "seam-management-"));
  const stop = new AbortController();
  const cluster = await openEmbeddedCluster({ directory, clock, random: systemRandom, log: silentLog });
  for (const crd of loadCrds()) await cluster.create(CustomResourceDefinition, crd);
  const namespace = async (name: string): Promise<void> => {
    await cluster.create(Namespace, { apiVersion: "v1", kind: "Namespace", metadata: { name } });
  };
  await namespace(NAMESPACES.ont);
  await namespace(NAMESPACES.seam);
  return {
    cluster,
    signal: stop.signal,
    addTenant: async (name) => {
      await namespace(tenantNamespace(name));
      await cluster.create(TalosCluster, {
        apiVersion: "seam.ontai.dev/v1alpha1",
        kind: "TalosCluster",
        metadata: { name, namespace: tenantNamespace(name) },
        spec: { mode: "import", role: "tenant" },
      });
      await cluster.create(RunnerConfig, {
        apiVersion: "seam.ontai.dev/v1alpha1",
        kind: "RunnerConfig",
        metadata: { name, namespace: NAMESPACES.ont },
        spec: { clusterRef: name, runnerImage: "conductor:dev" },
      });
    },
    close: async () => {
      stop.abort();
      await cluster.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

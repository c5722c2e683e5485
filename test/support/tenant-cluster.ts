import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CustomResourceDefinition, Namespace } from "../../src/api/builtin.ts";
import { loadCrds } from "../../src/api/kinds/crds.ts";
import { systemClock } from "../../src/base/clock.ts";
import { silentLog } from "../../src/base/log.ts";
import { systemRandom } from "../../src/base/random.ts";
import { type EmbeddedCluster, openEmbeddedCluster } from "../../src/cluster/embedded/embedded-cluster.ts";
import { startSimulatedNodes } from "../../src/cluster/embedded/simulated-nodes/simulated-nodes.ts";

/** An embedded tenant cluster with simulated nodes, for one test file. */
export interface TestTenantCluster {
  readonly cluster: EmbeddedCluster;
  readonly directory: string;
  /** Aborts when the test file ends. */
  readonly signal: AbortSignal;
  close(): Promise<void>;
}

/** Opens a tenant with every CRD of the system and `ont-system`. */
export async function openTenantCluster(options: { readonly nodes?: boolean } = {}): Promise<TestTenantCluster> {
  const directory = await mkdtemp(join(tmpdir(), "seam-tenant-"));
  const stop = new AbortController();
  const cluster = await openEmbeddedCluster({
    directory: join(directory, "cluster"),
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
  });
  for (const crd of loadCrds()) await cluster.create(CustomResourceDefinition, crd);
  await cluster.create(Namespace, { apiVersion: "v1", kind: "Namespace", metadata: { name: "ont-system" } });
  const nodes =
    options.nodes === false
      ? undefined
      : await startSimulatedNodes({
          cluster,
          clock: systemClock,
          random: systemRandom,
          log: silentLog,
          signal: stop.signal,
        });
  return {
    cluster,
    directory,
    signal: stop.signal,
    close: async () => {
      stop.abort();
      await nodes?.closed;
      await cluster.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CustomResourceDefinition, Namespace } from "../../api/builtin.ts";
import { loadCrds } from "../../api/kinds/crds.ts";
import { silentLog } from "../../base/log.ts";
import type { Cluster } from "../../cluster/cluster.ts";
import { openEmbeddedCluster } from "../../cluster/embedded/embedded-cluster.ts";
import type { CommandContext } from "./context.ts";

/**
 * Runs `use` on a cluster of our own kinds in a temporary directory: files are judged without any cluster by exactly the schema,
 * defaults and CEL rules that an API server would apply. Nothing of it is left afterwards.
 */
export async function withScratchCluster<R>(
  namespaces: Iterable<string>,
  context: CommandContext,
  use: (cluster: Cluster) => Promise<R>,
): Promise<R> {
  const directory = await mkdtemp(join(tmpdir(), "seamctl-"));
  const { clock, random } = context;
  try {
    const cluster = await openEmbeddedCluster({ directory, clock, random, log: silentLog });
    try {
      for (const crd of loadCrds()) await cluster.create(CustomResourceDefinition, crd);
      for (const name of new Set(namespaces))
        if (name !== "default")
          await cluster.create(Namespace, { apiVersion: "v1", kind: "Namespace", metadata: { name } });
      return await use(cluster);
    } finally {
      await cluster.close();
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/base/clock.ts";
import { silentLog } from "../../src/base/log.ts";
import { systemRandom } from "../../src/base/random.ts";
import { openEmbeddedCluster } from "../../src/cluster/embedded/embedded-cluster.ts";
import { clusterConformance } from "./cluster-conformance.ts";

clusterConformance("embedded cluster in process", async () => {
  const directory = await mkdtemp(join(tmpdir(), "seam-conformance-"));
  const cluster = await openEmbeddedCluster({ directory, clock: systemClock, random: systemRandom, log: silentLog });
  return {
    cluster,
    compact: () => cluster.compactHistory(),
    controllers: true,
    close: async () => {
      await cluster.close();
      await rm(directory, { recursive: true });
    },
  };
});

import { fileURLToPath } from "node:url";
import { systemClock } from "../../src/base/clock.ts";
import { silentLog } from "../../src/base/log.ts";
import { systemRandom } from "../../src/base/random.ts";
import { type EmbeddedCluster, openEmbeddedCluster } from "../../src/cluster/embedded/embedded-cluster.ts";

const PROGRAM = fileURLToPath(new URL("./job-program.ts", import.meta.url));

/** An embedded cluster that runs {@link PROGRAM} as `conductor execute`. */
export function openJobCluster(directory: string): Promise<EmbeddedCluster> {
  return openEmbeddedCluster({
    directory,
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
    jobs: {
      programs: [{ words: ["conductor", "execute"], images: ["conductor-exec"], exec: [process.execPath, PROGRAM] }],
      environment: { PATH: process.env["PATH"] ?? "" },
      others: "pending",
    },
  });
}

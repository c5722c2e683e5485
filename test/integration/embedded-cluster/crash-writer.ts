import { ConfigMap } from "../../../src/api/builtin.ts";
import { systemClock } from "../../../src/base/clock.ts";
import { silentLog } from "../../../src/base/log.ts";
import { systemRandom } from "../../../src/base/random.ts";
import { openEmbeddedCluster } from "../../../src/cluster/embedded/embedded-cluster.ts";

/**
 * Writes until it is killed and prints each acknowledged write; every third object is deleted again. Arguments: directory, prefix.
 */
const [directory = "", prefix = ""] = process.argv.slice(2);
const cluster = await openEmbeddedCluster({ directory, clock: systemClock, random: systemRandom, log: silentLog });
let next = 0;

async function write(): Promise<never> {
  for (;;) {
    const index = next++;
    const name = `${prefix}-${index}`;
    const metadata = { name, namespace: "default" };
    await cluster.create(ConfigMap, { apiVersion: "v1", kind: "ConfigMap", metadata, data: { x: "y".repeat(500) } });
    process.stdout.write(`created ${name}\n`);
    if (index % 3 === 0) {
      await cluster.delete(ConfigMap, metadata);
      process.stdout.write(`deleted ${name}\n`);
    }
    if (index % 500 === 499) await cluster.compactHistory();
  }
}

await Promise.all(Array.from({ length: 16 }, write));

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { systemClock } from "../../src/base/clock.ts";
import { silentLog } from "../../src/base/log.ts";
import { systemRandom } from "../../src/base/random.ts";
import { openEmbeddedCluster } from "../../src/cluster/embedded/embedded-cluster.ts";
import { serveCluster } from "../../src/cluster/serve/serve-cluster.ts";

/** An embedded cluster behind its REST API, in a process of its own: `DIRECTORY` holds tls.crt, tls.key and ca.crt. */
const [directory = ""] = process.argv.slice(2);
const pem = (name: string): string => readFileSync(join(directory, name), "utf8");
const parts = { clock: systemClock, random: systemRandom, log: silentLog };
const cluster = await openEmbeddedCluster({ directory: join(directory, "cluster"), ...parts });
const api = await serveCluster({
  cluster,
  address: "127.0.0.1",
  port: 0,
  tls: { cert: pem("tls.crt"), key: pem("tls.key"), clientCa: pem("ca.crt") },
  serviceAccountKeyPath: join(directory, "service-account.key"),
  ...parts,
  signal: new AbortController().signal,
});
const delay = monitorEventLoopDelay({ resolution: 1 });
delay.enable();
process.on("message", () => {
  // Milliseconds of the 99th percentile since the last question.
  process.send?.({ delayP99Ms: delay.percentile(99) / 1e6 });
  delay.reset();
});
process.on("disconnect", () => process.exit(0));
process.send?.({ url: api.url });

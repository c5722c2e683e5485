import type { Bench } from "./bench.ts";
import { audit } from "./audit/audit-bench.ts";
import { cluster } from "./cluster/cluster-bench.ts";
import { federation } from "./federation/federation-bench.ts";
import { permissions } from "./permissions/permissions-bench.ts";

const BENCHES: readonly Bench[] = [audit, cluster, federation, permissions];

const [name, ...args] = process.argv.slice(2);
const bench = BENCHES.find((one) => one.name === name);
if (bench === undefined) {
  const lines = BENCHES.map((one) => `  ${one.name.padEnd(12)} ${one.summary}`);
  process.stderr.write(`usage: node bench/main.ts NAME [flags]; NAME --help tells its flags\n\n${lines.join("\n")}\n`);
  process.exit(2);
}
if (args.includes("--help")) {
  process.stdout.write(bench.usage);
} else {
  await bench.run(args);
}

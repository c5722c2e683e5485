import { parseArgs } from "node:util";
import { provePoison } from "./prove-poison.ts";

/** `node test/poison/main.ts [--agents 500]`: one poison object to one of many agents of a real hub, and what it did to all. */
const { values } = parseArgs({ options: { agents: { type: "string", default: "500" } } });
const started = performance.now();
const { explained, retried, healed, nothingToRetry, ...counts } = await provePoison(Number(values.agents), (text) =>
  process.stderr.write(`${((performance.now() - started) / 1000).toFixed(1)} s  ${text}\n`),
);
console.log(counts);
for (const { out, code } of [explained, retried, healed, nothingToRetry]) console.log(`\n${out}(exit code ${code})`);
process.exit(0);

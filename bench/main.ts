import { parseArgs } from "node:util";
import { federationBench } from "./federation/federation-bench.ts";

const USAGE = `usage: node bench/main.ts federation [--json] [--agents 200,1000] [--runs 7] [--skip-recovery]

  federation   hub and agents beside plain grpc-js, on this machine, in this run
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: "boolean", default: false },
    agents: { type: "string", default: "200,1000" },
    runs: { type: "string", default: "7" },
    "skip-recovery": { type: "boolean", default: false },
  },
});

if (positionals[0] !== "federation") {
  process.stderr.write(USAGE);
  process.exit(2);
}
await federationBench({
  json: values.json,
  fleets: values.agents.split(",").map(Number),
  runs: Number(values.runs),
  recovery: !values["skip-recovery"],
});

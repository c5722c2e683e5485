import { parseArgs } from "node:util";
import { federationBench } from "./federation/federation-bench.ts";
import { permissionsBench } from "./permissions/permissions-bench.ts";

const USAGE = `usage: node bench/main.ts federation  [--json] [--agents 200,1000] [--runs 7] [--skip-recovery]
       node bench/main.ts permissions [--json] [--runs 7] [--calls 10000] [--only decisions,calls]

  federation   hub and agents beside plain grpc-js, on this machine, in this run
  permissions  decisions beside the naive scan, PermissionService beside an empty call
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: "boolean", default: false },
    agents: { type: "string", default: "200,1000" },
    runs: { type: "string", default: "7" },
    calls: { type: "string", default: "10000" },
    only: { type: "string", default: "" },
    "skip-recovery": { type: "boolean", default: false },
  },
});
const { json } = values;
const runs = Number(values.runs);

switch (positionals[0]) {
  case "federation":
    await federationBench({
      json,
      fleets: values.agents.split(",").map(Number),
      runs,
      recovery: !values["skip-recovery"],
    });
    break;
  case "permissions":
    await permissionsBench({ json, runs, calls: Number(values.calls), only: values.only.split(",").filter(Boolean) });
    break;
  default:
    process.stderr.write(USAGE);
    process.exit(2);
}

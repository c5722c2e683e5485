import { parseArgs } from "node:util";
import { postgresTarget } from "../../src/federation/audit/postgres/postgres-target.ts";
import { proveAudit } from "./prove-audit.ts";

// The long form by hand: node test/audit-proof/main.ts --events 1000000 --kills 60 [--postgres URL]
const { values } = parseArgs({
  options: {
    events: { type: "string", default: "1000000" },
    agents: { type: "string", default: "4" },
    kills: { type: "string", default: "60" },
    seed: { type: "string", default: "1" },
    postgres: { type: "string" },
  },
});
const started = performance.now();
const proof = await proveAudit({
  events: Number(values.events),
  agents: Number(values.agents),
  kills: Number(values.kills),
  seed: Number(values.seed),
  ...(values.postgres !== undefined && {
    sink: { store: "postgres", target: postgresTarget(values.postgres), connections: 4 },
  }),
  note: (line) => process.stderr.write(`${line}\n`),
});
const seconds = (performance.now() - started) / 1000;
process.stdout.write(`${JSON.stringify({ ...proof, seconds: Math.round(seconds) })}\n`);

import { parseArgs } from "node:util";
import { postgresTarget } from "../../src/federation/audit/postgres/postgres-target.ts";
import { proveAudit } from "./prove-audit.ts";

const USAGE = `node test/audit-proof/main.ts [--events N] [--kills N] [--agents N] [--seed N] [--postgres URL]

Audit events of agents whose processes, and whose hub's, are killed with SIGKILL: none may be lost, none stored twice.

  --events N      events in all                                   (1000000)
  --kills N       how often a process is killed meanwhile         (60)
  --agents N      agents, each a process of its own               (4)
  --seed N        which ones are killed, and when                 (1)
  --postgres URL  the sink is this PostgreSQL instead of SQLite

What happens goes to standard error; the last line is the result as JSON. It ends with an error when anything is lost or there twice.`;

const { values } = parseArgs({
  options: {
    events: { type: "string", default: "1000000" },
    agents: { type: "string", default: "4" },
    kills: { type: "string", default: "60" },
    seed: { type: "string", default: "1" },
    postgres: { type: "string" },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  process.stdout.write(`${USAGE}\n`);
  process.exit(0);
}
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

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { runChaos } from "./run-chaos.ts";

/** `node test/chaos/main.ts`: kills processes of a real mesh for minutes and compares the end with a model. */
const { values } = parseArgs({
  options: {
    kills: { type: "string", default: "60" },
    seed: { type: "string", default: String(Date.now() % 100_000) },
    tenants: { type: "string", default: "3" },
    "port-offset": { type: "string", default: "5000" },
    "pause-ms": { type: "string", default: "5000" },
    "settle-ms": { type: "string", default: "120000" },
  },
});
const parent = mkdtempSync(join(tmpdir(), "seam-chaos-"));
const directory = join(parent, "mesh");
console.log(`seed ${values.seed}, state in ${directory}`);
const result = await runChaos({
  directory,
  seed: Number(values.seed),
  kills: Number(values.kills),
  tenants: Number(values.tenants),
  portOffset: Number(values["port-offset"]),
  pauseMs: Number(values["pause-ms"]),
  settleMs: Number(values["settle-ms"]),
  print: (line) => console.log(line),
});
const text = (counts: ReadonlyMap<string, number>): string =>
  [...counts].map(([what, count]) => `${what} ${count}`).join(", ");
console.log(`kills: ${text(result.kills)}`);
console.log(`actions: ${text(result.actions)}`);
console.log(`at rest after ${(result.settledMs / 1000).toFixed(1)} s; ${result.auditEvents} audit events in the sink`);
for (const fault of result.faults) console.log(`FAULT ${fault}`);
if (result.faults.length === 0) rmSync(parent, { recursive: true, force: true });
else process.exitCode = 1;

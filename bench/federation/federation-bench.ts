import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import type { Bench } from "../bench.ts";
import { type Row, printRows } from "../report/rows.ts";
import { type Material, issueMaterial } from "./material.ts";
import type { Scenario, ScenarioContext } from "./scenario.ts";
import { blackhole } from "./scenarios/blackhole.ts";
import { change } from "./scenarios/change.ts";
import { frozen } from "./scenarios/frozen.ts";
import { idleMemory } from "./scenarios/idle-memory.ts";
import { oneAgent } from "./scenarios/one-agent.ts";
import { recovery } from "./scenarios/recovery.ts";
import { revoke } from "./scenarios/revoke.ts";
import { soak } from "./scenarios/soak.ts";
import { steady } from "./scenarios/steady.ts";
import { storm } from "./scenarios/storm.ts";

/** Every scenario, in the order they run. */
const SCENARIOS: readonly Scenario[] = [
  idleMemory,
  change,
  steady,
  storm,
  frozen,
  recovery,
  blackhole,
  revoke,
  oneAgent,
  soak,
];

/** What the figures stand on and beside. */
const BESIDE =
  "Mutual TLS 1.3, every index signed and verified. Beside it: plain grpc-js in the same run, unless the row says otherwise. Server and load keep to a core each where there are two. Agents keep their store in SQLite in memory, unless the row says otherwise.";

const USAGE = `usage: node bench/main.ts federation [--long] [--scenario S2,S5] [--agents N] [--runs 5] [--minutes 5] [--json]

${SCENARIOS.map(({ id, title }) => `  ${id.padEnd(4)} ${title}`).join("\n")}

--long takes the sizes and times of docs/performance.md; without it each scenario is a look of some seconds.
--agents overrides a scenario's number of agents. --minutes is the time of the soak (S10), which runs only when it is asked for, and of S3 with --long.
`;

/** The hub and its agents beside plain grpc-js. */
export const federation: Bench = {
  name: "federation",
  summary: "hub and agents beside plain grpc-js, on this machine, in this run",
  usage: USAGE,
  async run(args) {
    const { values } = parseArgs({
      args: [...args],
      options: {
        json: { type: "boolean", default: false },
        long: { type: "boolean", default: false },
        scenario: { type: "string", default: "" },
        runs: { type: "string", default: "5" },
        minutes: { type: "string", default: "1" },
        agents: { type: "string" },
      },
    });
    const ids = values.scenario.split(",").filter(Boolean);
    const unknown = ids.filter((id) => !SCENARIOS.some((scenario) => scenario.id === id));
    if (unknown.length > 0) throw new Error(`no such scenario: ${unknown.join(", ")}\n${USAGE}`);
    const wanted = SCENARIOS.filter(({ id }) => (ids.length === 0 ? id !== soak.id : ids.includes(id)));
    const context = contextOf({
      long: values.long,
      agents: values.agents === undefined ? undefined : Number(values.agents),
      runs: Number(values.runs),
      minutes: Number(values.minutes),
    });
    const rows: Row[] = [];
    for (const scenario of wanted) rows.push(...(await scenario.run(context)));
    if (values.json) process.stdout.write(`${JSON.stringify({ cores: availableParallelism(), rows }, null, 2)}\n`);
    else printRows(rows, BESIDE);
  },
};

function contextOf(options: Pick<ScenarioContext, "long" | "agents" | "runs" | "minutes">): ScenarioContext {
  const progress = (text: string): void => void process.stderr.write(`${text}\n`);
  let issued: Material | undefined;
  return {
    ...options,
    progress,
    material: async (agents) => {
      if (issued === undefined || issued.agents.length < agents) {
        progress(`issuing ${agents} client certificates`);
        issued = await issueMaterial(agents);
      }
      return issued;
    },
  };
}

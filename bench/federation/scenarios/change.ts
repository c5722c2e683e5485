import type { Row } from "../../report/rows.ts";
import { median, quantile } from "../../report/statistics.ts";
import { Fleet, type Kind } from "../fleet.ts";
import type { Scenario, ScenarioContext } from "../scenario.ts";

const SIZES = [1024, 10 * 1024];
const WARM_UP = 3;
const GOAL_RATIO = 1.5;

interface Measured {
  /** Time until the last agent, of each run, by size. */
  readonly lastMs: ReadonlyMap<number, readonly number[]>;
  /** Time of each agent, all runs together, by size. */
  readonly eachMs: ReadonlyMap<number, readonly number[]>;
  /** Per agent and change, microseconds. */
  readonly serverCpuUs: number;
  readonly clientsCpuUs: number;
}

/** S2: one change to every agent at once, until all have applied it. */
export const change: Scenario = {
  id: "S2",
  title: "one change to all agents",
  async run(context) {
    const agents = context.agents ?? (context.long ? 1_000 : 300);
    const floor = await measure(context, "floor", agents);
    const ours = await measure(context, "ours", agents);
    const rows: Row[] = [];
    for (const bytes of SIZES) {
      const [mine, plain] = [ours.lastMs.get(bytes) ?? [], floor.lastMs.get(bytes) ?? []];
      const p99 = (measured: Measured): number => quantile(measured.eachMs.get(bytes) ?? [], 0.99);
      rows.push({
        scenario: "S2",
        what: `${bytes / 1024} KiB to ${agents} agents, p99 of all agents and runs`,
        unit: "ms",
        ours: p99(ours),
        floor: p99(floor),
        goal: `≤ ${GOAL_RATIO}x`,
        met: p99(ours) <= GOAL_RATIO * p99(floor),
        note: `until the last agent, median of ${mine.length} runs: ${median(mine).toFixed(0)} ms, plain ${median(plain).toFixed(0)} ms`,
      });
    }
    rows.push(
      {
        scenario: "S2",
        what: "hub's processor time per agent and change",
        unit: "µs",
        ours: ours.serverCpuUs,
        floor: floor.serverCpuUs,
        goal: "",
        met: undefined,
        note: "signing included",
      },
      {
        scenario: "S2",
        what: "load generator's processor time per agent and change",
        unit: "µs",
        ours: ours.clientsCpuUs,
        floor: floor.clientsCpuUs,
        goal: "",
        met: undefined,
        note: "in a fleet this is spent on the tenants' machines; verifying included",
      },
    );
    return rows;
  },
};

async function measure(context: ScenarioContext, kind: Kind, agents: number): Promise<Measured> {
  context.progress(`S2: ${agents} agents, ${kind}`);
  const material = await context.material(agents);
  return Fleet.with({ kind, material, agents }, async (fleet) => {
    const lastMs = new Map<number, number[]>();
    const eachMs = new Map<number, number[]>();
    const before = await fleet.cpu();
    for (const bytes of SIZES) {
      const last: number[] = [];
      const each: number[] = [];
      for (let run = 0; run < WARM_UP + context.runs; run++) {
        const answer = await fleet.ask({ type: "change", bytes });
        if (run < WARM_UP) continue;
        last.push(answer.elapsedMs ?? Number.NaN);
        each.push(...(answer.latenciesMs?.[0] ?? []));
      }
      lastMs.set(bytes, last);
      eachMs.set(bytes, each);
    }
    const after = await fleet.cpu();
    const changes = SIZES.length * (WARM_UP + context.runs) * agents;
    return {
      lastMs,
      eachMs,
      serverCpuUs: ((after.server - before.server) * 1000) / changes,
      clientsCpuUs: ((after.clients - before.clients) * 1000) / changes,
    };
  });
}

import { quantile } from "../../report/statistics.ts";
import { Fleet, type Kind } from "../fleet.ts";
import type { Scenario, ScenarioContext } from "../scenario.ts";

const GOAL_P99_MS = 250;
const MIB = 1024 * 1024;
/** Growth of the hub over the measured time that counts as flat, share of its memory. */
const FLAT = 0.1;

/** S3: one change a second for every agent. */
export const steady: Scenario = {
  id: "S3",
  title: "one change a second for each agent",
  async run(context) {
    const agents = context.agents ?? (context.long ? 1_000 : 200);
    const seconds = context.long ? context.minutes * 60 : 10;
    const floor = await measure(context, "floor", agents, Math.min(seconds, 30));
    const ours = await measure(context, "ours", agents, seconds);
    return [
      {
        scenario: "S3",
        what: `commit to applied, p99, ${agents} agents, ${seconds} s`,
        unit: "ms",
        ours: ours.p99Ms,
        floor: floor.p99Ms,
        goal: `≤ ${GOAL_P99_MS} ms`,
        met: ours.p99Ms <= GOAL_P99_MS,
        note: `median ${ours.medianMs.toFixed(1)} ms, plain ${floor.medianMs.toFixed(1)} ms; hub uses ${ours.cores.toFixed(2)} of a core, plain ${floor.cores.toFixed(2)}`,
      },
      {
        scenario: "S3",
        what: `hub memory after the first and the last of ${ours.rssMib.length} parts`,
        unit: "MiB",
        ours: ours.rssMib.at(-1) ?? Number.NaN,
        goal: "flat",
        met: (ours.rssMib.at(-1) ?? Infinity) <= (1 + FLAT) * (ours.rssMib[0] ?? 0),
        note: `${ours.rssMib.map((mib) => mib.toFixed(0)).join(" → ")}; in use ${ours.heapMib.map((mib) => mib.toFixed(1)).join(" → ")} MiB`,
      },
    ];
  },
};

/** Parts of the measured time after which memory is looked at: a minute each, or a fifth of a shorter time. */
function partsOf(seconds: number): number {
  return Math.max(5, Math.round(seconds / 60));
}

async function measure(
  context: ScenarioContext,
  kind: Kind,
  agents: number,
  seconds: number,
): Promise<{ p99Ms: number; medianMs: number; rssMib: number[]; heapMib: number[]; cores: number }> {
  context.progress(`S3: ${agents} agents, ${seconds} s, ${kind}`);
  const material = await context.material(agents);
  return Fleet.with({ kind, material, agents }, async (fleet) => {
    const latencies: number[] = [];
    const rssMib: number[] = [];
    const heapMib: number[] = [];
    await fleet.ask({ type: "change", bytes: 1024 });
    const before = await fleet.cpu();
    const began = performance.now();
    const parts = partsOf(seconds);
    for (let part = 0; part < parts; part++) {
      const pace = { perSecond: agents, changes: (agents * seconds) / parts, bytes: 1024, groups: [fleet.clusters] };
      const { latenciesMs = [] } = await fleet.ask({ type: "pace", pace });
      for (const each of latenciesMs[0] ?? []) latencies.push(each);
      const { rssBytes = 0, heapBytes = 0 } = await fleet.ask({ type: "memory" });
      rssMib.push(rssBytes / MIB);
      heapMib.push(heapBytes / MIB);
    }
    const cores = ((await fleet.cpu()).server - before.server) / (performance.now() - began);
    return { p99Ms: quantile(latencies, 0.99), medianMs: quantile(latencies, 0.5), rssMib, heapMib, cores };
  });
}

import { quantile } from "../../report/statistics.ts";
import { Child } from "../child.ts";
import { Fleet } from "../fleet.ts";
import type { Scenario } from "../scenario.ts";

const BLACKHOLE_MS = 60_000;
const GOAL_HEALED_MS = 10_000;
const GOAL_SHARE = 0.1;

/** S7: the path of half of the agents takes everything in and lets nothing out, then heals. */
export const blackhole: Scenario = {
  id: "S7",
  title: "60 s blackhole for half of the agents",
  async run(context) {
    const agents = context.agents ?? (context.long ? 1_000 : 100);
    context.progress(`S7: ${agents} agents, ${BLACKHOLE_MS / 1000} s blackhole`);
    const material = await context.material(agents);
    const relay = new Child("relay-child.ts", "load");
    const through = async (process: number, port: number): Promise<number> =>
      process === 0 ? port : ((await relay.ask({ type: "relay", port })).port ?? 0);
    try {
      return await Fleet.with({ kind: "ours", material, agents, processes: 2, through }, async (fleet) => {
        fleet.clients[1]?.giveWay();
        const [near, far] = [fleet.clustersOf(0), fleet.clustersOf(1)];
        const p99 = async (seconds: number): Promise<number> => {
          const pace = { perSecond: agents / 4, changes: (seconds * agents) / 4, bytes: 1024, groups: [near] };
          return quantile((await fleet.ask({ type: "pace", pace })).latenciesMs?.[0] ?? [], 0.99);
        };
        await p99(5);
        const before = await p99(BLACKHOLE_MS / 3000);
        relay.freeze();
        const meanwhile = await p99(BLACKHOLE_MS / 1000);
        relay.thaw();
        const thawedMs = performance.now();
        await fleet.ask({ type: "awaitSettled", clusters: far });
        const healedMs = performance.now() - thawedMs;
        const moved = meanwhile / before - 1;
        return [
          {
            scenario: "S7",
            what: `p99 of the other half of ${agents} agents (beside it: before)`,
            unit: "ms",
            ours: meanwhile,
            floor: before,
            goal: "no effect",
            met: moved < GOAL_SHARE,
            note: `moved ${(moved * 100).toFixed(1)} %`,
          },
          {
            scenario: "S7",
            what: "all of the far half hold and have applied everything, after the path is back",
            unit: "ms",
            ours: healedMs,
            goal: `< ${GOAL_HEALED_MS / 1000} s`,
            met: healedMs < GOAL_HEALED_MS,
          },
        ];
      });
    } finally {
      await relay.kill();
    }
  },
};

import { median, quantile } from "../../report/statistics.ts";
import { Fleet } from "../fleet.ts";
import type { Scenario } from "../scenario.ts";

/** One process of five is stopped: a fifth of the agents. */
const PROCESSES = 5;
const GOAL_SHARE = 0.1;
const MIB = 1024 * 1024;

/** S5: a fifth of the agents do not read: the others must not notice, and the hub must not grow. */
export const frozen: Scenario = {
  id: "S5",
  title: "a fifth of the agents frozen during a storm",
  async run(context) {
    const agents = context.agents ?? (context.long ? 1_000 : 250);
    const changes = context.long ? 2_000 : 500;
    const pairs = context.long ? 5 : 2;
    context.progress(`S5: ${agents} agents, ${pairs} pairs of storms`);
    const material = await context.material(agents);
    return Fleet.with({ kind: "ours", material, agents, processes: PROCESSES }, async (fleet) => {
      const stopped = fleet.clients.at(-1);
      const others = Array.from({ length: PROCESSES - 1 }, (_, i) => fleet.clustersOf(i)).flat();
      const pace = { perSecond: agents / 2, changes, bytes: 1024, groups: [others] };
      const p99 = async (): Promise<number> =>
        quantile((await fleet.ask({ type: "pace", pace })).latenciesMs?.[0] ?? [], 0.99);
      await fleet.ask({ type: "change", bytes: 1024 });
      await p99();
      const memoryBefore = (await fleet.ask({ type: "memory" })).rssBytes ?? 0;
      const [all, without]: [number[], number[]] = [[], []];
      let resumedFrames = 0;
      for (let pair = 0; pair < pairs; pair++) {
        all.push(await p99());
        stopped?.freeze();
        without.push(await p99());
        await fleet.ask({ type: "traffic" });
        stopped?.thaw();
        await fleet.ask({ type: "awaitSettled", clusters: fleet.clustersOf(PROCESSES - 1) });
        resumedFrames = (await fleet.ask({ type: "traffic" })).traffic?.byType["out:indexOffer"] ?? 0;
      }
      const grown = (((await fleet.ask({ type: "memory" })).rssBytes ?? 0) - memoryBefore) / MIB;
      const moved = median(without) / median(all) - 1;
      return [
        {
          scenario: "S5",
          what: `p99 of the others, a fifth of ${agents} frozen (beside it: nobody frozen)`,
          unit: "ms",
          ours: median(without),
          floor: median(all),
          goal: `moves < ${GOAL_SHARE * 100} %`,
          met: moved < GOAL_SHARE,
          note: `median of ${pairs} pairs of storms of ${changes} changes; moved ${(moved * 100).toFixed(1)} %`,
        },
        {
          scenario: "S5",
          what: "hub memory over all storms",
          unit: "MiB",
          ours: grown,
          goal: "bounded by agents × budget",
          met: grown <= agents * 1.25,
          note: `${resumedFrames} offers to the ${agents / PROCESSES} thawed agents, for ${changes / PROCESSES} changes`,
        },
      ];
    });
  },
};

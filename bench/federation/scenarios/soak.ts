import { Fleet } from "../fleet.ts";
import type { Scenario } from "../scenario.ts";

const MIB = 1024 * 1024;
const ROUND_SECONDS = 10;
/** Slope that counts as zero: what a heap moves by itself, MiB an hour for a hub of some 100 MiB. */
const NOISE_MIB_PER_HOUR = 20;

/** S10: changes without end: memory and handles must not rise. */
export const soak: Scenario = {
  id: "S10",
  title: "soak",
  async run(context) {
    const agents = context.agents ?? (context.long ? 500 : 100);
    const rounds = Math.max(3, Math.ceil((context.minutes * 60) / ROUND_SECONDS));
    context.progress(`S10: ${agents} agents, ${context.minutes} minutes`);
    const material = await context.material(agents);
    return Fleet.with({ kind: "ours", material, agents }, async (fleet) => {
      const samples: { readonly hours: number; readonly mib: number; readonly handles: number }[] = [];
      const began = performance.now();
      for (let round = 0; round < rounds; round++) {
        const pace = { perSecond: agents, changes: agents * ROUND_SECONDS, bytes: 1024, groups: [] };
        await fleet.ask({ type: "pace", pace });
        const { rssBytes = 0, handles = 0 } = await fleet.ask({ type: "memory" });
        samples.push({ hours: (performance.now() - began) / 3_600_000, mib: rssBytes / MIB, handles });
      }
      // The first third warms up: code is compiled and the heap finds its size.
      const steady = samples.slice(Math.floor(samples.length / 3));
      const slope = slopeOf(steady.map(({ hours, mib }) => [hours, mib]));
      const handles = steady.map((sample) => sample.handles);
      const spread = Math.max(...handles) - Math.min(...handles);
      return [
        {
          scenario: "S10",
          what: `slope of the hub's memory, ${context.minutes} minutes, ${agents} changes/s`,
          unit: "MiB/h",
          ours: slope,
          goal: "zero within noise",
          met: slope <= NOISE_MIB_PER_HOUR,
          note: `${steady[0]?.mib.toFixed(0)} → ${steady.at(-1)?.mib.toFixed(0)} MiB`,
        },
        {
          scenario: "S10",
          what: "handles, highest above lowest",
          unit: "",
          ours: spread,
          goal: "zero within noise",
          met: spread <= agents / 10,
          note: `${handles[0]} → ${handles.at(-1)}`,
        },
      ];
    });
  },
};

/** Least squares. */
function slopeOf(points: readonly (readonly [number, number])[]): number {
  const mean = (pick: (point: readonly [number, number]) => number): number =>
    points.reduce((sum, point) => sum + pick(point), 0) / points.length;
  const [x, y] = [mean(([at]) => at), mean(([, value]) => value)];
  const above = points.reduce((sum, [at, value]) => sum + (at - x) * (value - y), 0);
  const below = points.reduce((sum, [at]) => sum + (at - x) ** 2, 0);
  return above / below;
}

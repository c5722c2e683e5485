import type { Row } from "../../report/rows.ts";
import { Fleet } from "../fleet.ts";
import type { Scenario } from "../scenario.ts";

const MIB = 1024 * 1024;
const ROUND_SECONDS = 10;
/** Share of the agents that is sent away and comes back in each round: sessions end and begin as in a fleet. */
const SENT_AWAY = 0.1;
/** Growth over the measured time that counts as none: what a process moves by itself, MiB resident and in use. */
const NOISE_MIB = 7;
const NOISE_IN_USE_MIB = 2;
/** The same for handles, for each agent. */
const NOISE_HANDLES = 0.04;

/** What one process holds at a time. */
interface Sample {
  readonly hours: number;
  readonly mib: number;
  /** Heap and buffers in use, MiB. */
  readonly heapMib: number;
  readonly handles: number;
}

/** S10: changes without end, and agents that leave and come back: memory and handles must not rise. */
export const soak: Scenario = {
  id: "S10",
  title: "soak",
  async run(context) {
    const agents = context.agents ?? (context.long ? 500 : 100);
    context.progress(`S10: ${agents} agents, ${context.minutes} minutes`);
    const material = await context.material(agents);
    return Fleet.with({ kind: "ours", material, agents }, async (fleet) => {
      const hub: Sample[] = [];
      const clients: Sample[] = [];
      const began = performance.now();
      const away = Math.max(1, Math.floor(agents * SENT_AWAY));
      const seconds = (): number => (performance.now() - began) / 1000;
      for (let round = 0; round < 3 || seconds() < context.minutes * 60; round++) {
        const pace = { perSecond: agents, changes: agents * ROUND_SECONDS, bytes: 1024, groups: [] };
        await fleet.ask({ type: "pace", pace });
        const from = (round * away) % agents;
        await fleet.ask({ type: "sendAway", clusters: fleet.clusters.slice(from, from + away) });
        const hours = seconds() / 3600;
        const { rssBytes = 0, heapBytes = 0, handles = 0 } = await fleet.ask({ type: "memory" });
        const theirs = await fleet.clientMemory();
        hub.push({ hours, mib: rssBytes / MIB, heapMib: heapBytes / MIB, handles });
        clients.push({
          hours,
          mib: theirs.rssBytes / MIB,
          heapMib: theirs.heapBytes / MIB,
          handles: theirs.handles,
        });
        context.progress(
          `S10: ${(hours * 60).toFixed(1)} min, hub ${(rssBytes / MIB).toFixed(0)} MiB (heap ${(heapBytes / MIB).toFixed(1)}) and ${handles} handles, agents ${(theirs.rssBytes / MIB).toFixed(0)} MiB (heap ${(theirs.heapBytes / MIB).toFixed(1)}) and ${theirs.handles}`,
        );
      }
      const what = `${context.minutes} minutes, ${agents} changes/s, ${away} of ${agents} agents reconnect every ${ROUND_SECONDS} s`;
      return [
        ...rowsOf(`the hub's`, what, hub, agents, 1),
        // A thousand agents share one process: its noise is theirs together.
        ...rowsOf(`${agents} agents'`, what, clients, agents, fleet.clients.length),
      ];
    });
  },
};

function rowsOf(
  whose: string,
  what: string,
  samples: readonly Sample[],
  agents: number,
  processes: number,
): readonly Row[] {
  // The first third warms up: code is compiled and the heap finds its size.
  const steady = samples.slice(Math.floor(samples.length / 3));
  const hours = (steady.at(-1)?.hours ?? 0) - (steady[0]?.hours ?? 0);
  const row = (thing: string, unit: string, of: (sample: Sample) => number, noise: number, digits: number): Row => {
    const slope = slopeOf(steady.map((sample) => [sample.hours, of(sample)]));
    return {
      scenario: "S10",
      what: `slope of ${whose} ${thing}, ${what}`,
      unit: `${unit}/h`,
      ours: slope,
      goal: "zero within noise",
      met: slope * hours <= noise,
      note: fifths(steady.map((sample) => of(sample).toFixed(digits))),
    };
  };
  return [
    row("resident memory", "MiB", ({ mib }) => mib, NOISE_MIB * processes, 0),
    row("heap and buffers in use", "MiB", ({ heapMib }) => heapMib, NOISE_IN_USE_MIB * processes, 1),
    // A socket that is being closed at the moment of a sample counts, so single samples stand out.
    row("handles", "", ({ handles }) => handles, agents * NOISE_HANDLES, 0),
  ];
}

/** The first, the last, and some between. */
function fifths(values: readonly string[]): string {
  const at = [0, 0.2, 0.4, 0.6, 0.8, 1].map((share) => Math.round(share * (values.length - 1)));
  return [...new Set(at)].map((index) => values[index]).join(" → ");
}

/** Least squares. */
function slopeOf(points: readonly (readonly [number, number])[]): number {
  const mean = (pick: (point: readonly [number, number]) => number): number =>
    points.reduce((sum, point) => sum + pick(point), 0) / points.length;
  const [x, y] = [mean(([at]) => at), mean(([, value]) => value)];
  const above = points.reduce((sum, [at, value]) => sum + (at - x) * (value - y), 0);
  const below = points.reduce((sum, [at]) => sum + (at - x) ** 2, 0);
  return above / below;
}

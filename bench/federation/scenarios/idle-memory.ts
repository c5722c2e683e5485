import type { Row } from "../../report/rows.ts";
import { Fleet, type Kind } from "../fleet.ts";
import type { Scenario, ScenarioContext } from "../scenario.ts";

const KIB = 1024;
/** Goal, KiB: 130 KB. */
const GOAL_KIB = 127;
/** Files that a server opens besides its agents' sockets. */
const SPARE_FILES = 200;

/** S1: what an idle agent costs the hub. */
export const idleMemory: Scenario = {
  id: "S1",
  title: "hub memory per idle agent",
  async run(context) {
    const rows: Row[] = [];
    for (const agents of context.agents === undefined ? (context.long ? [1_000, 5_000] : [500]) : [context.agents]) {
      const most = openFiles() - SPARE_FILES;
      if (agents > most) {
        context.progress(`S1: ${agents} agents are left out: a process may open ${most} sockets here (ulimit -Hn)`);
        continue;
      }
      const floor = await measure(context, "floor", agents);
      const ours = await measure(context, "ours", agents);
      rows.push({
        scenario: "S1",
        what: `resident memory per idle agent, ${agents} agents`,
        unit: "KiB",
        ours: ours.rss / KIB,
        floor: floor.rss / KIB,
        goal: `≤ ${GOAL_KIB} KiB`,
        met: ours.rss / KIB <= GOAL_KIB,
        note: `heap and buffers ${(ours.heap / KIB).toFixed(0)} KiB, plain ${(floor.heap / KIB).toFixed(0)} KiB`,
      });
    }
    return rows;
  },
};

/** Files that one process may open: Node raises its own limit to the hard one. */
function openFiles(): number {
  const report: unknown = process.report.getReport();
  const hard: unknown = Reflect.get(Object(Reflect.get(Object(report), "userLimits")), "open_files");
  const limit: unknown = Reflect.get(Object(hard), "hard");
  return typeof limit === "number" ? limit : Infinity;
}

async function measure(context: ScenarioContext, kind: Kind, agents: number): Promise<{ rss: number; heap: number }> {
  context.progress(`S1: ${agents} agents, ${kind}`);
  const material = await context.material(agents);
  return Fleet.with({ kind, material, agents }, (fleet) => fleet.memoryPerAgent());
}

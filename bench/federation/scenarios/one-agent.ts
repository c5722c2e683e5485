import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PROCESS_OPTIONS } from "../../../src/roles/process-options.ts";
import { median } from "../../report/statistics.ts";
import { Fleet } from "../fleet.ts";
import type { Scenario } from "../scenario.ts";

const BURST = 100;
const GOAL_BURST_MS = 300;
const GOAL_MIB = 80;
const MIB = 1024 * 1024;

/** One agent in a process of its own with its store on disk: a burst of new objects, and what the process weighs. */
export const oneAgent: Scenario = {
  id: "one",
  title: "one agent with its store on disk",
  async run(context) {
    context.progress(`one agent: bursts of ${BURST} objects`);
    const material = await context.material(1);
    const stores = mkdtempSync(join(tmpdir(), "seam-bench-"));
    try {
      return await Fleet.with(
        { kind: "ours", material, agents: 1, stores, clientOptions: PROCESS_OPTIONS.tenant },
        async (fleet) => {
          const agent = fleet.clients[0];
          const cluster = fleet.clusters[0] ?? "";
          const rss = async (): Promise<number> =>
            ((await agent?.ask({ type: "memory" }))?.rssBytes ?? Number.NaN) / MIB;
          const idleMib = await rss();
          const times: number[] = [];
          for (let run = 0; run < 2 + context.runs; run++) {
            const { elapsedMs = Number.NaN } = await fleet.ask({ type: "burst", cluster, objects: BURST, bytes: 1024 });
            if (run >= 2) times.push(elapsedMs);
          }
          await fleet.ask({ type: "storm", clusters: [cluster], changes: context.long ? 2_000 : 300, bytes: 1024 });
          const stormMib = await rss();
          return [
            {
              scenario: "one",
              what: `burst of ${BURST} objects, publish to healthy`,
              unit: "ms",
              ours: median(times),
              goal: `≤ ${GOAL_BURST_MS} ms`,
              met: median(times) <= GOAL_BURST_MS,
              note: `median of ${times.length}; each object its own commit and its own signed index`,
            },
            {
              scenario: "one",
              what: "agent process, resident memory idle",
              unit: "MiB",
              ours: idleMib,
              goal: `≤ ${GOAL_MIB} MiB`,
              met: idleMib <= GOAL_MIB,
            },
            {
              scenario: "one",
              what: "agent process, resident memory after a storm",
              unit: "MiB",
              ours: stormMib,
              goal: `≤ ${GOAL_MIB} MiB`,
              met: stormMib <= GOAL_MIB,
            },
          ];
        },
      );
    } finally {
      rmSync(stores, { recursive: true, force: true });
    }
  },
};

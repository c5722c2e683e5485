import { Fleet } from "../fleet.ts";
import type { Scenario } from "../scenario.ts";

const AGENTS = 50;

/** S4: far more changes than anybody can apply: what is superseded while an offer is out never leaves. */
export const storm: Scenario = {
  id: "S4",
  title: "2,000 changes to each of 50 agents",
  async run(context) {
    const changes = context.long ? 2_000 : 300;
    context.progress(`S4: ${changes} changes to each of ${AGENTS} agents`);
    const material = await context.material(AGENTS);
    return Fleet.with({ kind: "ours", material, agents: AGENTS }, async (fleet) => {
      // One change at a time is what it costs when nothing is coalesced.
      const single = 10;
      for (let i = 0; i < 3; i++) await fleet.ask({ type: "change", bytes: 1024 });
      await fleet.ask({ type: "traffic" });
      for (let i = 0; i < single; i++) await fleet.ask({ type: "change", bytes: 1024 });
      const alone = (await fleet.ask({ type: "traffic" })).traffic;
      const { elapsedMs = Number.NaN } = await fleet.ask({
        type: "storm",
        clusters: fleet.clusters,
        changes,
        bytes: 1024,
      });
      const together = (await fleet.ask({ type: "traffic" })).traffic;
      const scale = changes / single;
      const all = AGENTS * changes;
      const seconds = elapsedMs / 1000;
      return [
        {
          scenario: "S4",
          what: `frames down, ${changes} changes to each of ${AGENTS} agents`,
          unit: "",
          ours: together?.framesOut ?? Number.NaN,
          floor: (alone?.framesOut ?? 0) * scale,
          goal: "fewer than uncoalesced",
          met: (together?.framesOut ?? Infinity) < (alone?.framesOut ?? 0) * scale,
          note: `beside it: uncoalesced; ${together?.byType["out:indexOffer"] ?? 0} offers for ${all} changes, ${seconds.toFixed(1)} s, ${(all / seconds).toFixed(0)} changes/s signed`,
        },
        {
          scenario: "S4",
          what: "bytes down",
          unit: "KiB",
          ours: (together?.bytesOut ?? Number.NaN) / 1024,
          floor: ((alone?.bytesOut ?? 0) * scale) / 1024,
          goal: "fewer than uncoalesced",
          met: (together?.bytesOut ?? Infinity) < (alone?.bytesOut ?? 0) * scale,
        },
      ];
    });
  },
};

import { median, quantile } from "../../report/statistics.ts";
import type { Row } from "../../report/rows.ts";
import { Fleet, type Kind } from "../fleet.ts";
import type { Scenario, ScenarioContext } from "../scenario.ts";

/** Clusters whose objects change as in S4 while everybody is told. */
const STORMED = 50;
const GOAL_MS = 250;
/** Size of a signed revocation on the wire, about, bytes: what plain grpc-js sends beside it. */
const REVOCATION_BYTES = 1024;

/** S9: one revocation to every agent while a storm of changes runs: from the order until each says that it is in effect. */
export const revoke: Scenario = {
  id: "S9",
  title: "revoke on all agents in a storm of changes",
  async run(context) {
    const agents = context.agents ?? (context.long ? 1_000 : 300);
    const ours = await measure(context, "ours", agents);
    const floor = await measure(context, "floor", agents);
    const p99 = quantile(ours.effective, 0.99);
    const rows: readonly Row[] = [
      {
        scenario: "S9",
        what: `order to effective on ${agents} agents, ${STORMED} of them in a storm, p99 of all agents and runs`,
        unit: "ms",
        ours: p99,
        floor: quantile(floor.effective, 0.99),
        goal: `≤ ${GOAL_MS} ms`,
        met: p99 <= GOAL_MS,
        note: `median ${median(ours.effective).toFixed(0)} ms; numbering and signing ${agents} revocations included. Beside it: a message of ${REVOCATION_BYTES} bytes to all and an answer, nothing signed, no storm`,
      },
      {
        scenario: "S9",
        what: "of it the hub, p99: order until the signed push has left; the rest is the agents' one core, and their answers",
        unit: "ms",
        ours: quantile(ours.left, 0.99),
        goal: "",
        met: undefined,
      },
    ];
    return rows;
  },
};

interface Revoked {
  /** From the order until each agent said that it is in effect, milliseconds. */
  readonly effective: readonly number[];
  /** Until each push had left; not measured for plain grpc-js. */
  readonly left: readonly number[];
}

async function measure(context: ScenarioContext, kind: Kind, agents: number): Promise<Revoked> {
  context.progress(`S9: ${agents} agents, ${kind}`);
  const material = await context.material(agents);
  const changes = context.long ? 400 : 100;
  return Fleet.with({ kind, material, agents }, async (fleet) => {
    const effective: number[] = [];
    const left: number[] = [];
    const clusters = fleet.clusters.slice(0, STORMED);
    for (let run = 0; run < 1 + context.runs; run++) {
      const answer = await fleet.ask(
        kind === "ours"
          ? { type: "revoke", clusters, changes, bytes: 1024 }
          : { type: "change", bytes: REVOCATION_BYTES },
      );
      if (run === 0) continue;
      effective.push(...(answer.latenciesMs?.[0] ?? []));
      left.push(...(answer.latenciesMs?.[1] ?? []));
    }
    return { effective, left };
  });
}

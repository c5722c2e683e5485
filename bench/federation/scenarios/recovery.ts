import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Fleet, type Kind } from "../fleet.ts";
import type { Scenario, ScenarioContext } from "../scenario.ts";

const GOAL_RATIO = 1.5;
const GOAL_MS = 6_000;
const GOAL_CHANGED_MS = 15_000;
const GOAL_PAYLOAD = 0.05;
const OBJECT_BYTES = 1024;

/** S6: SIGKILL of the hub, a new one on the same port, until every agent is back and verified. */
export const recovery: Scenario = {
  id: "S6",
  title: "kill -9 of the hub",
  async run(context) {
    const agents = context.agents ?? (context.long ? 1_000 : 200);
    const floor = await back(context, "floor", agents);
    const ours = await back(context, "ours", agents);
    const objects = context.long ? 1_000 : 200;
    const changed = Math.max(1, objects / 1000);
    const some = await changedWhileAway(context, agents, objects, changed);
    // Every body once and the whole index: what an agent without anything is sent.
    const full = agents * objects * OBJECT_BYTES;
    return [
      {
        scenario: "S6",
        what: `${agents} agents back and verified`,
        unit: "ms",
        ours: ours.elapsedMs,
        floor: floor.elapsedMs,
        goal: `≤ ${GOAL_RATIO}x and ≤ ${GOAL_MS / 1000} s`,
        met: ours.elapsedMs <= GOAL_RATIO * floor.elapsedMs && ours.elapsedMs <= GOAL_MS,
        note: `admission as in production; plain grpc-js admits everybody at once; processor time of the server per agent ${ours.cpuMs.toFixed(1)} ms, plain ${floor.cpuMs.toFixed(1)} ms`,
      },
      {
        scenario: "S6",
        what: `${agents} agents × ${objects} objects, ${changed} changed meanwhile`,
        unit: "ms",
        ours: some.elapsedMs,
        goal: `≤ ${GOAL_CHANGED_MS / 1000} s`,
        met: some.elapsedMs <= GOAL_CHANGED_MS,
        note: `the new hub finds the changed indexes only, so ranges are compared; processor time per agent: hub ${some.hubCpuMs.toFixed(1)} ms from its start, loading ${objects} items of each tenant included, and ${some.agentCpuMs.toFixed(1)} ms of the load generator's one core`,
      },
      {
        scenario: "S6",
        what: "bytes down, share of the bodies of all objects",
        unit: "%",
        ours: (100 * some.bytesOut) / full,
        goal: `< ${GOAL_PAYLOAD * 100} %`,
        met: some.bytesOut < GOAL_PAYLOAD * full,
        note: `${(some.bytesOut / agents / 1024).toFixed(1)} KiB per agent; all frames counted`,
      },
    ];
  },
};

async function back(
  context: ScenarioContext,
  kind: Kind,
  agents: number,
): Promise<{ readonly elapsedMs: number; readonly cpuMs: number }> {
  context.progress(`S6: ${agents} agents, ${kind}`);
  const material = await context.material(agents);
  return Fleet.with({ kind, material, agents }, async (fleet) => {
    if (kind === "ours") await fleet.ask({ type: "change", bytes: OBJECT_BYTES });
    const startedMs = await fleet.crashServer();
    const before = await fleet.cpu();
    await fleet.ask({ type: "awaitConnected", count: agents });
    const elapsedMs = performance.now() - startedMs;
    return { elapsedMs, cpuMs: ((await fleet.cpu()).server - before.server) / agents };
  });
}

async function changedWhileAway(
  context: ScenarioContext,
  agents: number,
  objects: number,
  changed: number,
): Promise<{
  readonly elapsedMs: number;
  readonly bytesOut: number;
  readonly hubCpuMs: number;
  readonly agentCpuMs: number;
}> {
  context.progress(`S6: ${agents} agents × ${objects} objects, ${changed} changed`);
  const material = await context.material(agents);
  const directory = await mkdtemp(join(tmpdir(), "seam-bench-"));
  const population = { objects, bytes: OBJECT_BYTES, changed, file: join(directory, "state.db") };
  try {
    return await Fleet.with({ kind: "ours", material, agents, population }, async (fleet) => {
      await fleet.ask({ type: "awaitSettled", clusters: fleet.clusters });
      await fleet.ask({ type: "changeUnseen" });
      const before = await fleet.cpu();
      const startedMs = await fleet.crashServer();
      await fleet.ask({ type: "awaitSettled", clusters: fleet.clusters });
      const elapsedMs = performance.now() - startedMs;
      const after = await fleet.cpu();
      const { traffic } = await fleet.ask({ type: "traffic" });
      return {
        elapsedMs,
        bytesOut: traffic?.bytesOut ?? Number.NaN,
        hubCpuMs: after.server / agents,
        agentCpuMs: (after.clients - before.clients) / agents,
      };
    });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

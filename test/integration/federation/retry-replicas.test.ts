import { expect, it } from "vitest";
import { ReplicaFleet } from "../../replicas/replica-fleet.ts";

const TENANT = "tenant-2";
const LIMIT_MS = 60_000;

it(
  "keeps a retry that was ordered while the agent is away over kill -9 of the replica that took it, and carries it out elsewhere",
  { timeout: 240_000 },
  async () => {
    const fleet = await ReplicaFleet.start({
      replicas: 2,
      agents: 3,
      heartbeatMs: 1_000,
      auditMs: 1_000,
      factMs: 10_000,
      balance: { roundMs: 60_000, settleMs: 3_600_000, stayMs: 3_600_000, movesPerMinute: 1 },
    });
    try {
      const digest = fleet.poison(TENANT);
      await until(async () => (await fleet.poisonLevel(TENANT)).refused === "POISON");
      await fleet.mend();

      // Away: every agent is stopped, and the replicas have found out.
      fleet.signalAgents("SIGSTOP");
      for (const replica of fleet.replicas) await until(async () => (await fleet.look(replica)).connected === 0);
      await fleet.retry("hub-2", TENANT, digest);
      await fleet.retry("hub-1", TENANT, digest); // asked twice is asked once
      expect(await fleet.waitingRetries(TENANT)).toBe(1);
      await fleet.kill("hub-2");

      fleet.signalAgents("SIGCONT");
      await fleet.awaitLive();
      await until(async () => (await fleet.poisonLevel(TENANT)).level === 4);
      expect((await fleet.poisonLevel(TENANT)).refused).toBe("");
      await until(async () => (await fleet.waitingRetries(TENANT)) === 0);
      expect((await fleet.look("hub-1")).connected).toBe(3);
    } finally {
      fleet.signalAgents("SIGCONT");
      await fleet.close();
    }
  },
);

async function until(condition: () => Promise<boolean>): Promise<void> {
  const limit = performance.now() + LIMIT_MS;
  while (!(await condition())) {
    if (performance.now() > limit) throw new Error(`not within ${LIMIT_MS} ms: ${condition.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

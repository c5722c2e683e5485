import { expect, it } from "vitest";
import { freezeAndThaw, jumpClock, killAndRestart, partitionAndHeal } from "../../replicas/faults.ts";
import { ReplicaFleet } from "../../replicas/replica-fleet.ts";

/** Agents of the short form; `node test/replicas/main.ts` runs 300. */
const AGENTS = 30;

it(
  "loses nothing and doubles nothing while replicas are killed, frozen and cut off under load",
  { timeout: 240_000 },
  async () => {
    const fleet = await ReplicaFleet.start({
      replicas: 3,
      agents: AGENTS,
      heartbeatMs: 2_000,
      auditMs: 500,
      factMs: 3_000,
      // Nobody is moved for the balance: whoever moves here was sent away.
      balance: { roundMs: 60_000, settleMs: 3_600_000, stayMs: 3_600_000, movesPerMinute: 1 },
    });
    const changes = setInterval(() => fleet.change(`tenant-${1 + Math.floor(Math.random() * AGENTS)}`), 200);
    try {
      const hurt = [
        await killAndRestart(fleet, "hub-1"),
        await freezeAndThaw(fleet, "hub-2"),
        await partitionAndHeal(fleet, "hub-3"),
      ];
      expect(hurt.map(({ agents, servedAgainMs }) => [agents > 0, servedAgainMs.length === agents])).toEqual([
        [true, true],
        [true, true],
        [true, true],
      ]);
      // Fails when the replica loses its membership to it.
      await jumpClock(fleet, "hub-1");
      clearInterval(changes);
      const { faults, agents } = await fleet.verdict();
      expect(faults).toEqual([]);
      expect(agents).toHaveLength(AGENTS);
      // Ownership moved, so terms rose; nobody was asked to take a frame of an old one.
      expect(agents.some(({ term }) => term > 1n)).toBe(true);
    } finally {
      clearInterval(changes);
      await fleet.close();
    }
  },
);

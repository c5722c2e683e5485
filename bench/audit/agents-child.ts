import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../../src/base/clock.ts";
import { systemRandom } from "../../src/base/random.ts";
import { factOutbox } from "../../src/federation/outbox/fact-outbox.ts";
import { type Outbox, openOutbox } from "../../src/federation/outbox/outbox.ts";
import type { FactOutbox } from "../../src/federation/spoke/ports.ts";
import { startSpoke } from "../../src/federation/spoke/start-spoke.ts";
import { plainAgent } from "../../test/support/plain-agent.ts";
import type { AgentMaterial } from "../federation/material.ts";
import { cpu, serve } from "../federation/protocol.ts";
import { decision } from "./decision.ts";
import type { AuditAnswer, AuditCommand } from "./protocol.ts";

/** Agents with their logs on disk, as in a fleet, several in one process. */
interface Agent extends AgentMaterial {
  readonly outbox: Outbox;
}

/** Events that wait for the log at once while it is filled. */
const FILL_IN_FLIGHT = 4_096;
/** Room for a whole run: nothing may be dropped. */
const auditCap = { capBytes: 4 * 1024 ** 3, reserveBytes: 0 };
const controller = new AbortController();
let agents: readonly Agent[] = [];
let spokes: readonly FactOutbox[] = [];
let publicKeyPem = "";

async function append(facts: FactOutbox, events: number, inFlight: number): Promise<void> {
  let next = 0;
  await Promise.all(
    Array.from({ length: Math.min(inFlight, events) }, async () => {
      while (next < events) await facts.audit(decision(next++));
    }),
  );
}

serve(async (command: AuditCommand): Promise<AuditAnswer> => {
  switch (command.type) {
    case "fill":
      ({ publicKeyPem } = command);
      agents = await Promise.all(
        command.agents.map(async ({ cluster, tls }) => {
          const directory = join(command.directory, cluster);
          mkdirSync(directory, { recursive: true });
          const parts = { clock: systemClock, random: systemRandom };
          const outbox = await openOutbox({ directory, ...parts, auditCap });
          const listener = { factPending: () => {}, auditAppended: () => {} };
          await append(factOutbox({ cluster, outbox, listener, ...parts }), command.events, FILL_IN_FLIGHT);
          return { cluster, tls, outbox };
        }),
      );
      return {};
    case "connect": {
      const { port } = command;
      const { signal } = controller;
      const started = agents.map(({ cluster, tls, outbox }) =>
        startSpoke(
          plainAgent({
            port,
            cluster,
            tls,
            publicKeyPem,
            agentVersion: "bench",
            store: { outbox },
            handlers: [],
            signal,
          }),
        ),
      );
      spokes = (await Promise.all(started)).map(({ outbox }) => outbox);
      return {};
    }
    case "append":
      await Promise.all(spokes.map((facts) => append(facts, command.events, command.inFlight)));
      return {};
    case "cpu":
      return { cpuMs: cpu().cpuMs ?? 0 };
    case "stop":
      process.exit(0);
      break;
    default:
      throw new Error("this child is the agents");
  }
  return {};
});

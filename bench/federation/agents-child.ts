import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../../src/base/clock.ts";
import { systemRandom } from "../../src/base/random.ts";
import { memoryOutbox } from "../../src/federation/outbox/outbox.ts";
import type { ItemHandler } from "../../src/federation/spoke/ports.ts";
import type { SpokeOptions } from "../../src/federation/spoke/spoke-options.ts";
import { startSpoke } from "../../src/federation/spoke/start-spoke.ts";
import { plainAgent } from "../../test/support/plain-agent.ts";
import { type Answer, type Command, cpu, memory, serve } from "./protocol.ts";

/** The load generator: agents as they are in a fleet, many in one process, with a handler that has nothing to do. */
const handler: ItemHandler = {
  kind: "PackInstalled",
  verify: async () => ({ ok: true }),
  apply: async () => ({ ok: true }),
  healthy: async () => ({ ok: true }),
  remove: async () => ({ ok: true }),
};
const controller = new AbortController();

serve(async (command: Command): Promise<Answer> => {
  switch (command.type) {
    case "startClients": {
      const { port, publicKeyPem } = command;
      const { signal } = controller;
      const storeOf = (cluster: string): SpokeOptions["store"] => {
        if (command.stores === undefined) return { outbox: memoryOutbox(systemClock, systemRandom) };
        const directory = join(command.stores, cluster);
        mkdirSync(directory, { recursive: true });
        return { directory };
      };
      for (const { cluster, tls } of command.agents)
        await startSpoke(
          plainAgent({
            port,
            cluster,
            tls,
            publicKeyPem,
            agentVersion: "bench",
            store: storeOf(cluster),
            handlers: [handler],
            signal,
          }),
        );
      return {};
    }
    case "memory":
      return memory();
    case "cpu":
      return cpu();
    case "stop":
      process.exit(0);
      break;
    default:
      throw new Error("this child dials");
  }
  return {};
});

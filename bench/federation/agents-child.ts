import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../../src/base/clock.ts";
import { digestOf } from "../../src/base/digest.ts";
import { systemRandom } from "../../src/base/random.ts";
import { parseIndex } from "../../src/federation/index/parse-index.ts";
import { memoryOutbox } from "../../src/federation/outbox/outbox.ts";
import type { SpokeWrite } from "../../src/federation/session/spoke/record.ts";
import type { ItemHandler } from "../../src/federation/spoke/ports.ts";
import type { SpokeOptions } from "../../src/federation/spoke/spoke-options.ts";
import { startSpoke } from "../../src/federation/spoke/start-spoke.ts";
import type { SignedEnvelope } from "../../src/trust/dsse.ts";
import { plainAgent } from "../../test/support/plain-agent.ts";
import { DurableState } from "./durable-state.ts";
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
      const held = command.held === undefined ? undefined : new DurableState(command.held);
      const storeOf = async (cluster: string): Promise<SpokeOptions["store"]> => {
        if (command.stores === undefined) {
          const outbox = memoryOutbox(systemClock, systemRandom);
          if (held !== undefined) await outbox.apply(holding(held.index(cluster)));
          return { outbox };
        }
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
            store: await storeOf(cluster),
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

/** The store of an agent that has brought every item of an index to healthy. */
function holding(envelope: SignedEnvelope | undefined): readonly SpokeWrite[] {
  const parsed = envelope === undefined ? undefined : parseIndex(envelope.body);
  if (envelope === undefined || parsed?.ok !== true) throw new Error("the file holds no index of this agent");
  const { body, signatures } = envelope;
  const { epoch, items } = parsed.document;
  return [
    { type: "PutIndex", index: { body, signatures, digest: digestOf(body) } },
    ...items.map((item): SpokeWrite => ({
      type: "PutItem",
      record: {
        item,
        epoch,
        level: "healthy",
        atMs: 1,
        nack: undefined,
        attempts: 0,
        lastGood: item,
        quarantinedBy: "",
        retriedBy: "",
      },
    })),
  ];
}

import { startSpoke } from "../../src/federation/spoke/start-spoke.ts";
import { plainAgent } from "../support/plain-agent.ts";
import type { AgentStart, FromAgent } from "./protocol.ts";

/** Events logged at once. */
const TOGETHER = 500;
/** How often the agent looks whether everything was acknowledged, milliseconds. */
const LOOK_MS = 20;

process.once("message", (start: AgentStart) => void run(start));
process.once("disconnect", () => process.exit(0));

const tell = (message: FromAgent): void => {
  process.send?.(message);
};

async function run(start: AgentStart): Promise<void> {
  const { signal } = new AbortController();
  const store = { directory: start.directory };
  const { outbox, status } = await startSpoke(
    plainAgent({ ...start, agentVersion: "proof", store, handlers: [], signal }),
  );
  for (let at = 0; at < start.events; at += TOGETHER) {
    const ids = Array.from(
      { length: Math.min(TOGETHER, start.events - at) },
      (_, i) => `${start.cluster}/${start.incarnation}/${at + i}`,
    );
    await Promise.all(
      ids.map((requestId) => outbox.audit({ action: "authz.decision", decision: "deny", subject: "alice", requestId })),
    );
    tell({ type: "durable", ids });
  }
  for (;;) {
    const audit = status().session?.audit;
    if (audit !== undefined && audit.last > 0n && audit.ackedThrough === audit.last)
      tell({ type: "acknowledged", through: audit.last });
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

import { createPublicKey } from "node:crypto";
import { systemClock } from "../../src/base/clock.ts";
import { silentLog } from "../../src/base/log.ts";
import { systemRandom } from "../../src/base/random.ts";
import { startSpoke } from "../../src/federation/spoke/start-spoke.ts";
import { keyIdOf } from "../../src/trust/dsse.ts";
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
  const key = createPublicKey(start.publicKeyPem);
  const keyId = keyIdOf(key);
  const { outbox, status } = await startSpoke({
    endpoints: [`127.0.0.1:${start.port}`],
    tls: () => Promise.resolve(start.tls),
    cluster: start.cluster,
    agentVersion: "proof",
    store: { directory: start.directory },
    keys: { empty: false, key: (id) => (id === keyId ? key : undefined) },
    handlers: [],
    events: {
      driftUpdate: () => {},
      revoke: async () => ({ applied: true, detail: "" }),
      enforceFloors: async () => {},
      indexFreshness: () => {},
      channel: () => {},
    },
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
    signal: new AbortController().signal,
  });
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

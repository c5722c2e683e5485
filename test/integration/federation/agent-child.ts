import { createPublicKey } from "node:crypto";
import { appendFileSync } from "node:fs";
import { systemClock } from "../../../src/base/clock.ts";
import { silentLog } from "../../../src/base/log.ts";
import { systemRandom } from "../../../src/base/random.ts";
import { startSpoke } from "../../../src/federation/spoke/start-spoke.ts";
import { keyIdOf } from "../../../src/trust/dsse.ts";
import type { TlsMaterial } from "../../../src/trust/tls/tls-material.ts";
import { RecordingHandler } from "../../support/federation-rig.ts";

/** What the parent sends as its one message. */
export interface AgentChildOptions {
  readonly port: number;
  readonly cluster: string;
  readonly tls: TlsMaterial;
  readonly publicKeyPem: string;
  readonly storeDirectory: string;
  /** Each apply is appended here before it counts as done: the effect on the tenant. */
  readonly effectsFile: string;
}

process.once("message", (options: AgentChildOptions) => {
  const key = createPublicKey(options.publicKeyPem);
  const keyId = keyIdOf(key);
  const handler = new RecordingHandler((body, phase) => {
    if (phase === "apply") appendFileSync(options.effectsFile, `${body}\n`);
    return { ok: true };
  });
  void startSpoke({
    endpoints: [`127.0.0.1:${options.port}`],
    tls: () => Promise.resolve(options.tls),
    cluster: options.cluster,
    agentVersion: "1.0.0",
    store: { directory: options.storeDirectory },
    keys: { empty: false, key: (id) => (id === keyId ? key : undefined) },
    handlers: [handler],
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
});

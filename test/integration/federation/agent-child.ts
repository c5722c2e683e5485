import { appendFileSync } from "node:fs";
import { startSpoke } from "../../../src/federation/spoke/start-spoke.ts";
import type { TlsMaterial } from "../../../src/trust/tls/tls-material.ts";
import { RecordingHandler } from "../../support/federation-rig.ts";
import { plainAgent } from "../../support/plain-agent.ts";

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
  const handler = new RecordingHandler((body, phase) => {
    if (phase === "apply") appendFileSync(options.effectsFile, `${body}\n`);
    return { ok: true };
  });
  const { signal } = new AbortController();
  const store = { directory: options.storeDirectory };
  void startSpoke(plainAgent({ ...options, agentVersion: "1.0.0", store, handlers: [handler], signal }));
});

import { createPublicKey } from "node:crypto";
import { systemClock } from "../../src/base/clock.ts";
import { silentLog } from "../../src/base/log.ts";
import { systemRandom } from "../../src/base/random.ts";
import type { ItemHandler, SpokeEvents } from "../../src/federation/spoke/ports.ts";
import type { SpokeOptions } from "../../src/federation/spoke/spoke-options.ts";
import { keyIdOf } from "../../src/trust/dsse.ts";
import type { TlsMaterial } from "../../src/trust/tls/tls-material.ts";

/** Nobody listens to the agent, and revocations are in force at once. */
export const UNHEARD_EVENTS: SpokeEvents = {
  driftUpdate: () => {},
  revoke: async () => ({ applied: true, detail: "" }),
  enforceFloors: async () => {},
  indexFreshness: () => {},
  channel: () => {},
};

/** What is special about an agent of {@link plainAgent}. */
export interface PlainAgent {
  /** Of the hub, on the loopback. */
  readonly port: number;
  readonly cluster: string;
  readonly tls: TlsMaterial;
  /** The one signing key that it trusts. */
  readonly publicKeyPem: string;
  readonly agentVersion: string;
  readonly store: SpokeOptions["store"];
  readonly handlers: readonly ItemHandler[];
  readonly signal: AbortSignal;
}

/** Options of a whole agent for the processes of tests and benches: one hub, one trusted key, revocations in force at once, nobody who listens. */
export function plainAgent(agent: PlainAgent): SpokeOptions {
  const key = createPublicKey(agent.publicKeyPem);
  const keyId = keyIdOf(key);
  const { cluster, agentVersion, store, handlers, signal, tls } = agent;
  return {
    endpoints: [`127.0.0.1:${agent.port}`],
    tls: () => Promise.resolve(tls),
    cluster,
    agentVersion,
    store,
    keys: { empty: false, key: (id) => (id === keyId ? key : undefined) },
    handlers,
    events: UNHEARD_EVENTS,
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
    signal,
  };
}

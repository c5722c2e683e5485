import { createPrivateKey } from "node:crypto";
import type { AuditEventBatch } from "../../src/api/gen/conductor/federation/v1alpha1/facts_pb.ts";
import { systemClock } from "../../src/base/clock.ts";
import { silentLog } from "../../src/base/log.ts";
import { silentMetrics } from "../../src/base/metrics.ts";
import { SeededRandom, systemRandom } from "../../src/base/random.ts";
import type { HubAuditSink } from "../../src/federation/audit/hub-audit-sink.ts";
import { openAuditSink } from "../../src/federation/audit/open-audit-sink.ts";
import type { AuditAppendResult, AuditSink } from "../../src/federation/hub/ports.ts";
import { startHub } from "../../src/federation/hub/start-hub.ts";
import { ed25519Signer } from "../../src/trust/dsse.ts";
import { fixedTls } from "../../src/trust/tls/tls-material.ts";
import {
  MemoryDesiredStates,
  MemoryDirectory,
  MemoryFactStore,
  MemoryOwnership,
  MemoryRetryOrders,
  MemoryRevocations,
} from "../support/federation-ports.ts";
import type { FromHub, HubStart } from "./protocol.ts";

/** Share of batches to which each of three things happens. */
const FAULT_SHARE = 0.02;

/** A sink whose answers get lost, before and after the batch was stored, and to which some batches come twice. */
function unreliable(sink: HubAuditSink, seed: number): AuditSink {
  const random = new SeededRandom(seed);
  return {
    position: (cluster, epoch) => sink.position(cluster, epoch),
    async append(cluster: string, batch: AuditEventBatch): Promise<AuditAppendResult> {
      const chance = random.next();
      if (chance < FAULT_SHARE) throw new Error("lost before it was stored");
      const result = await sink.append(cluster, batch);
      if (chance < 2 * FAULT_SHARE) throw new Error("stored, and the answer lost");
      return chance < 3 * FAULT_SHARE ? sink.append(cluster, batch) : result;
    },
  };
}

process.once("message", (start: HubStart) => void run(start));
process.once("disconnect", () => process.exit(0));

async function run({ port, tls, clusters, signingKeyPem, sink, seed }: HubStart): Promise<void> {
  const signer = ed25519Signer(createPrivateKey(signingKeyPem));
  const hub = await startHub({
    address: "127.0.0.1",
    port,
    tls: fixedTls(tls),
    replica: "hub",
    endpoints: [],
    desired: new MemoryDesiredStates(signer, systemClock),
    facts: new MemoryFactStore(),
    audit: unreliable(await openAuditSink(sink, systemClock), seed),
    directory: new MemoryDirectory(clusters),
    ownership: new MemoryOwnership(),
    revocations: new MemoryRevocations(signer),
    retries: new MemoryRetryOrders(),
    limits: { admission: { perSecond: 100, burst: 100 }, perCluster: { perSecond: 100, burst: 100 } },
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
    metrics: silentMetrics,
    signal: new AbortController().signal,
  });
  process.send?.({ type: "listening", port: hub.port } satisfies FromHub);
}

import { createPrivateKey } from "node:crypto";
import type { AuditEventBatch } from "../../src/api/gen/conductor/federation/v1alpha1/facts_pb.ts";
import { systemClock } from "../../src/base/clock.ts";
import { silentLog } from "../../src/base/log.ts";
import { silentMetrics } from "../../src/base/metrics.ts";
import { systemRandom } from "../../src/base/random.ts";
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
} from "../../test/support/federation-ports.ts";
import { cpu, serve } from "../federation/protocol.ts";
import type { AuditAnswer, AuditCommand } from "./protocol.ts";

/** Keeps nothing and says "durable" at once. */
class NoSink implements AuditSink {
  readonly #reached = new Map<string, bigint>();

  async append(cluster: string, { events }: AuditEventBatch): Promise<AuditAppendResult> {
    const through = events.at(-1)?.sequence ?? 0n;
    this.#reached.set(cluster, through);
    return { contiguousThrough: through, highest: through, rejected: [] };
  }

  async position(cluster: string) {
    const through = this.#reached.get(cluster) ?? 0n;
    return { contiguousThrough: through, highest: through, highestHash: undefined };
  }
}

/** Counts what is durable. */
class CountingSink implements AuditSink {
  readonly #sink: AuditSink;
  #stored = 0;
  #goal = Infinity;
  #done = (): void => {};
  firstMs = 0;

  constructor(sink: AuditSink) {
    this.#sink = sink;
  }

  async append(cluster: string, batch: AuditEventBatch): Promise<AuditAppendResult> {
    if (this.firstMs === 0) this.firstMs = performance.now();
    const result = await this.#sink.append(cluster, batch);
    this.#stored += batch.events.length;
    if (this.#stored >= this.#goal) this.#done();
    return result;
  }

  position(cluster: string, epoch: bigint) {
    return this.#sink.position(cluster, epoch);
  }

  async stored(events: number): Promise<number> {
    await new Promise<void>((resolve) => {
      this.#goal = events;
      this.#done = resolve;
      if (this.#stored >= events) resolve();
    });
    const elapsed = performance.now() - this.firstMs;
    this.#stored -= events;
    this.#goal = Infinity;
    this.firstMs = 0;
    return elapsed;
  }
}

const controller = new AbortController();
let sink: CountingSink | undefined;

serve(async (command: AuditCommand): Promise<AuditAnswer> => {
  switch (command.type) {
    case "startHub": {
      sink = new CountingSink(command.sink === "none" ? new NoSink() : await openAuditSink(command.sink, systemClock));
      const signer = ed25519Signer(createPrivateKey(command.signingKeyPem));
      const hub = await startHub({
        address: "127.0.0.1",
        port: 0,
        tls: fixedTls(command.tls),
        replica: "bench",
        endpoints: [],
        desired: new MemoryDesiredStates(signer, systemClock),
        facts: new MemoryFactStore(),
        audit: sink,
        directory: new MemoryDirectory(command.clusters),
        ownership: new MemoryOwnership(),
        revocations: new MemoryRevocations(signer),
        retries: new MemoryRetryOrders(),
        limits: { admission: { perSecond: 5_000, burst: 5_000 } },
        clock: systemClock,
        random: systemRandom,
        log: silentLog,
        metrics: silentMetrics,
        signal: controller.signal,
      });
      return { port: hub.port };
    }
    case "awaitStored":
      if (sink === undefined) throw new Error("startHub comes first");
      return { elapsedMs: await sink.stored(command.events) };
    case "cpu":
      return { cpuMs: cpu().cpuMs ?? 0 };
    case "stop":
      process.exit(0);
      break;
    default:
      throw new Error("this child is the hub");
  }
  return {};
});

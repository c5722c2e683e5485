import { createPrivateKey, randomBytes } from "node:crypto";
import { systemClock } from "../../src/base/clock.ts";
import type { ItemReport } from "../../src/api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import { ItemReport_Level as Level } from "../../src/api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import { silentLog } from "../../src/base/log.ts";
import { silentMetrics } from "../../src/base/metrics.ts";
import { systemRandom } from "../../src/base/random.ts";
import type { AuditSink } from "../../src/federation/hub/ports.ts";
import { type Hub, startHub } from "../../src/federation/hub/start-hub.ts";
import { ed25519Signer } from "../../src/trust/dsse.ts";
import { fixedTls } from "../../src/trust/tls/tls-material.ts";
import {
  MemoryDesiredStates,
  MemoryDirectory,
  MemoryFactStore,
  MemoryOwnership,
  MemoryRevocations,
} from "../../test/support/federation-ports.ts";
import { type Answer, type Command, cpu, memory, serve } from "./protocol.ts";

/** Facts in memory; notices when every cluster has applied the version of the running change. */
class CountingFacts extends MemoryFactStore {
  expected = new Map<string, number>();
  done: () => void = () => {};

  override async items(cluster: string, reports: readonly ItemReport[]): Promise<void> {
    await super.items(cluster, reports);
    const version = this.expected.get(cluster);
    for (const report of reports)
      if (Number(report.version) === version && report.level >= Level.APPLIED) this.expected.delete(cluster);
    if (this.expected.size === 0) this.done();
  }
}

/** The bench produces no audit events. */
const noAudit: AuditSink = {
  append: async () => ({ contiguousThrough: 0n, highest: 0n, rejected: [] }),
  position: async () => ({ contiguousThrough: 0n, highest: 0n }),
};

const controller = new AbortController();
const facts = new CountingFacts();
let clusters: readonly string[] = [];
let desired: MemoryDesiredStates | undefined;
let hub: Hub | undefined;

serve(async (command: Command): Promise<Answer> => {
  switch (command.type) {
    case "startServer": {
      clusters = command.clusters;
      desired = new MemoryDesiredStates(ed25519Signer(createPrivateKey(command.signingKeyPem)), systemClock);
      hub = await startHub({
        address: "127.0.0.1",
        port: command.port,
        tls: fixedTls(command.tls),
        replica: "bench",
        endpoints: [],
        desired,
        facts,
        audit: noAudit,
        directory: new MemoryDirectory(clusters),
        ownership: new MemoryOwnership(),
        revocations: new MemoryRevocations(),
        limits: {
          connections: { maxConnections: 5_000, accept: { perSecond: 5_000, burst: 5_000 } },
          ...(command.admission === "open" ? { admission: { perSecond: 5_000, burst: 5_000 } } : {}),
        },
        clock: systemClock,
        random: systemRandom,
        log: silentLog,
        metrics: silentMetrics,
        signal: controller.signal,
      });
      return { port: hub.port };
    }
    case "awaitConnected": {
      const { view } = hub ?? fail();
      const live = (): number => clusters.filter((cluster) => view.agent(cluster)?.connected === true).length;
      while (live() < command.count) await new Promise((resolve) => setTimeout(resolve, 20));
      return {};
    }
    case "change": {
      const states = desired ?? fail();
      const body = randomBytes(command.bytes);
      const finished = new Promise<void>((resolve) => {
        facts.done = resolve;
      });
      facts.expected = new Map(
        clusters.map((cluster) => [cluster, (states.current(cluster)?.document.sequence ?? 0) + 1]),
      );
      const started = performance.now();
      for (const cluster of clusters) states.put(cluster, "PackInstalled", "bench", body);
      const signingMs = performance.now() - started;
      await finished;
      return { elapsedMs: performance.now() - started, signingMs };
    }
    case "memory":
      return memory();
    case "cpu":
      return cpu();
    case "stop":
      process.exit(0);
      break;
    case "startClients":
      throw new Error("this child serves");
  }
  return {};
});

function fail(): never {
  throw new Error("startServer comes first");
}

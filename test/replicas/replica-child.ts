import { generateKeyPairSync } from "node:crypto";
import { type Clock, systemClock } from "../../src/base/clock.ts";
import { errorMessage } from "../../src/base/errors.ts";
import { silentLog } from "../../src/base/log.ts";
import type { Metrics } from "../../src/base/metrics.ts";
import { systemRandom } from "../../src/base/random.ts";
import { httpCluster } from "../../src/cluster/kubernetes/http-cluster.ts";
import { countedCluster } from "../../src/cluster/counted-cluster.ts";
import { balanceLoad } from "../../src/federation/hub/membership/balance-load.ts";
import { hubMembership } from "../../src/federation/hub/membership/hub-membership.ts";
import { startReplicaDirectory } from "../../src/federation/hub/membership/replica-directory.ts";
import { startReplicaMembership } from "../../src/federation/hub/membership/replica-membership.ts";
import { createHubFactStore } from "../../src/federation/hub/mirror/hub-fact-store.ts";
import { startSessionOwnership } from "../../src/federation/hub/ownership/session-ownership.ts";
import type { AuditSink, DesiredIndex, DesiredStates } from "../../src/federation/hub/ports.ts";
import { type Hub, startHub } from "../../src/federation/hub/start-hub.ts";
import { type RunningRetryOrders, startRetryOrders } from "../../src/federation/hub/retries/retry-orders.ts";
import { ed25519Signer } from "../../src/trust/dsse.ts";
import { fixedTls } from "../../src/trust/tls/tls-material.ts";
import { recordedLog } from "../support/federation-rig.ts";
import { MemoryDirectory, MemoryRevocations } from "../support/federation-ports.ts";
import type { FromReplica, ReplicaLook, ReplicaOptions, SinkAnswer, ToReplica } from "./protocol.ts";

/** One replica of the hub as a process: real sockets, real Leases over REST, real fact store; desired state and audit sink of the test. */

let wallOffsetMs = 0;
const clock: Clock = {
  now: () => systemClock.now() + wallOffsetMs,
  monotonic: () => systemClock.monotonic(),
  sleep: (ms, signal) => systemClock.sleep(ms, signal),
};
const counts = new Map<string, number>();
const metrics: Metrics = {
  count: (name, _labels, by = 1) => counts.set(name, (counts.get(name) ?? 0) + by),
  gauge: () => {},
  observe: () => {},
};
const send = (message: FromReplica): void => {
  process.send?.(message);
};

class SharedSink implements AuditSink {
  readonly #waiting = new Map<number, { resolve(value: never): void; reject(error: Error): void }>();
  #id = 0;

  append: AuditSink["append"] = (cluster, batch) => this.#ask((id) => ({ type: "append", id, cluster, batch }));
  position: AuditSink["position"] = (cluster, epoch) => this.#ask((id) => ({ type: "position", id, cluster, epoch }));

  answer(id: number, value: unknown, error: string | undefined): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error === undefined) waiting?.resolve(value as never);
    else waiting?.reject(new Error(error));
  }

  #ask<T extends SinkAnswer>(message: (id: number) => FromReplica): Promise<T> {
    const id = ++this.#id;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      send(message(id));
    });
  }
}

class ToldDesired implements DesiredStates {
  readonly #indexes = new Map<string, DesiredIndex>();
  readonly #bodies = new Map<string, Uint8Array>();
  readonly #listeners = new Set<(cluster: string) => void>();

  tell(message: Extract<ToReplica, { type: "desired" }>): void {
    for (const { digest, data } of message.bodies) this.#bodies.set(digest, data);
    this.#indexes.set(message.cluster, message.desired);
    for (const listener of this.#listeners) listener(message.cluster);
  }

  current = (cluster: string): DesiredIndex | undefined => this.#indexes.get(cluster);
  blob = async (_cluster: string, digest: string): Promise<Uint8Array | undefined> => this.#bodies.get(digest);

  subscribe(listener: (cluster: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

const sink = new SharedSink();
const desired = new ToldDesired();
let order: RunningRetryOrders["order"] = () => Promise.reject(new Error("not started"));
let look: () => ReplicaLook = () => {
  throw new Error("not started");
};

async function start(options: ReplicaOptions): Promise<void> {
  const { signal } = new AbortController();
  const log =
    process.env["SEAM_TEST_LOG"] === undefined ? silentLog : recordedLog().log.child({ replica: options.replica });
  const cluster = countedCluster(
    httpCluster({ ...options.api, userAgent: options.replica, clock, random: systemRandom, log }),
    metrics,
  );
  const parts = { cluster, clock, random: systemRandom, log, metrics, signal };
  const later: { hub?: Hub } = {};
  const replicas = await startReplicaDirectory({ ...parts, replica: options.replica });
  const endpoint = `127.0.0.1:${options.port}`;
  const membership = await startReplicaMembership({
    ...parts,
    replica: options.replica,
    process: String(process.pid),
    facts: () => ({
      endpoint,
      internalEndpoint: "",
      sessions: later.hub?.view.connected ?? 0,
      auditSink: "the test's",
    }),
  });
  const ownership = await startSessionOwnership({ ...parts, owner: membership });
  const retries = await startRetryOrders(parts);
  order = (...item) => retries.order(...item);
  const facts = createHubFactStore({ cluster, clock, log, drift: async () => {} });
  const hub = await startHub({
    ...parts,
    address: "127.0.0.1",
    port: options.port,
    tls: fixedTls(options.tls),
    replica: options.replica,
    endpoints: [],
    desired,
    facts,
    audit: sink,
    directory: new MemoryDirectory(options.clusters),
    ownership,
    membership: hubMembership({ endpoint, membership, replicas }),
    revocations: new MemoryRevocations(ed25519Signer(generateKeyPairSync("ed25519").privateKey)),
    retries,
    onChannel: (id, state) => facts.channel(id, state),
    limits: {
      heartbeatIntervalMs: options.heartbeatMs,
      perCluster: { perSecond: 5, burst: 20 },
      connections: { maxConnections: 5_000 },
      lameDuckMs: 2_000,
    },
  });
  later.hub = hub;
  ownership.onLost((id, owner) => hub.release(id, replicas.byIdentity(owner)?.endpoint ?? ""));
  void balanceLoad({ ...parts, hub, replicas, times: options.balance });
  look = () => ({
    identity: membership.identity,
    member: membership.valid(),
    connected: hub.view.connected,
    alive: replicas.alive().map(({ replica }) => replica),
    counts,
  });
}

process.on("message", (message: ToReplica) => {
  switch (message.type) {
    case "start":
      start(message.options).then(
        () => send({ type: "started" }),
        (error: unknown) =>
          send({ type: "failed", message: error instanceof Error ? (error.stack ?? "") : String(error) }),
      );
      return;
    case "desired":
      desired.tell(message);
      return;
    case "clock":
      wallOffsetMs += message.byMs;
      return;
    case "look":
      send({ type: "looked", look: look() });
      return;
    case "retry": {
      const { cluster, name, digest } = message;
      order(cluster, { kind: "PackInstalled", name, digest }).then(
        () => send({ type: "retried" }),
        (error: unknown) => send({ type: "failed", message: errorMessage(error) }),
      );
      return;
    }
    case "answer":
      sink.answer(message.id, message.value, message.error);
  }
});
process.once("disconnect", () => process.exit(0));

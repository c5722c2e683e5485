import { create, toBinary } from "@bufbuild/protobuf";
import { EnvelopeSchema } from "../../api/gen/conductor/federation/v1alpha1/federation_pb.ts";
import { Goodbye_Code } from "../../api/gen/conductor/federation/v1alpha1/session_pb.ts";
import { FederationService } from "../../api/gen/conductor/federation/v1alpha1/federation_pb.ts";
import { HealthRegistry, ServingStatus, healthService } from "../../api/grpc/health.ts";
import { reflectionService } from "../../api/grpc/reflection.ts";
import { GrpcStatusError, Status } from "../../api/grpc/status-error.ts";
import { Health } from "../../api/gen/grpc/health/v1/health_pb.ts";
import { Semaphore } from "../../base/semaphore.ts";
import { tenantIdentity } from "../../trust/identity/tenant-identity.ts";
import { type GrpcServer, startGrpcServer } from "../../trust/tls/grpc-server.ts";
import type { Authentication } from "../../trust/tls/tls-listener.ts";
import { GOODBYE_LINGER_MS, MAX_COMPARING_AGENTS } from "../session/limits.ts";
import { goodbye } from "../session/message.ts";
import type { HubMessage } from "../session/payload.ts";
import { GRPC_MESSAGE_LIMIT_BYTES } from "../wire/stream-method.ts";
import { type IncomingStream, federationService } from "../wire/accept-stream.ts";
import { Admission } from "./admission.ts";
import { BlobShelf } from "./blob-shelf.ts";
import { DEFAULT_HUB_LIMITS, type HubLimits, type HubOptions } from "./hub-options.ts";
import type { HubView } from "./hub-view.ts";
import { ALONE } from "./ports.ts";
import type { HubShared } from "./session-host/host-scope.ts";
import { SessionHost } from "./session-host/session-host.ts";
import { Turns } from "./turns.ts";

/** A running hub replica. */
export interface Hub {
  readonly port: number;
  /** Authenticated connections on 9443, with or without a stream. */
  readonly connections: number;
  /** For operators: fleet service, status page, metrics. */
  readonly view: HubView;
  /** Health of the services on 9443; the hub marks its own. */
  readonly health: HealthRegistry;
  /** Sends a message to a tenant's agent; the newest of a key counts. Lost without a stream: `messages` hands it in anew. */
  send(cluster: string, key: string, message: HubMessage): void;
  /** Another replica owns this session now: its stream here ends, and the agent is told where to go. */
  release(cluster: string, endpoint: string): void;
  /** Sends a connected agent to another replica to even out the load; false when it is not connected here. */
  move(cluster: string, endpoint: string): boolean;
  /** Resolves after the signal aborted, the agents were told to go and everything is released. */
  readonly closed: Promise<void>;
}

/** Streams told to go per second at shutdown, at least. */
const LAME_DUCK_MIN_PER_SECOND = 200;
/** Pause between two rounds of telling agents to go, milliseconds. */
const LAME_DUCK_ROUND_MS = 50;
/** Retry-after of a replica that stops, milliseconds: another one is at hand, or this one is back soon. */
const SHUTDOWN_RETRY_MS = 500;
const OVERLOADED = { code: Goodbye_Code.OVERLOADED, endpoint: "" } as const;
/** Sessions a replica remembers; tenants that were never here cost nothing. */
const MAX_SESSIONS = 50_000;

/**
 * Starts the hub on 9443. The ports must be loaded before: streams are accepted as soon as this resolves (lessons §1.8).
 *
 * @throws SeamError `ListenFailed`
 */
export async function startHub(options: HubOptions): Promise<Hub> {
  const limits: HubLimits = { ...DEFAULT_HUB_LIMITS, ...options.limits };
  const { clock, random, metrics, desired, directory, revocations, retries, membership = ALONE } = options;
  const log = options.log.child({ component: "hub", replica: options.replica });
  const hosts = new Map<string, SessionHost>();
  const listeners = new Set<(cluster: string) => void>();
  const admission = new Admission({ clock, random, rate: limits.admission, perCluster: limits.perCluster });
  const health = new HealthRegistry();
  health.set(FederationService.typeName, ServingStatus.SERVING);
  const shared: HubShared = {
    options: { ...options, log },
    limits,
    shelf: new BlobShelf(desired, limits.inlineCacheBytes),
    loads: new Semaphore(limits.concurrentLoads),
    membership,
    compares: new Turns(MAX_COMPARING_AGENTS),
    changed: (cluster) => {
      for (const listener of listeners) listener(cluster);
    },
  };

  const refused = (cluster: string, peer: string, reason: string, detail: string): void => {
    metrics.count("federation_refused_total", { reason });
    log.warn({ cluster, peer, reason, detail }, "stream refused");
  };
  const onStream = (stream: IncomingStream): void => {
    const { principal, peer } = stream;
    const cluster = principal.name;
    const verdict = directory.check(cluster, principal.certificateSerial);
    if (!verdict.ok) {
      refused(cluster, peer, verdict.reason, "");
      throw new GrpcStatusError(Status.PERMISSION_DENIED, {
        reason: verdict.reason,
        object: `cluster ${cluster}`,
        expected: "a TalosCluster with role tenant that is not deleting, and a certificate that is not revoked (R-4.3)",
      });
    }
    const away = awayReason();
    if (away !== undefined) {
      const endpoint = membership.elsewhere(cluster);
      refused(cluster, peer, away.reason, endpoint === "" ? "nowhere else to go" : `go to ${endpoint}`);
      sendAway(stream, { ...away, retryAfterMs: SHUTDOWN_RETRY_MS * (1 + random.next()), endpoint });
      return;
    }
    const admitted = admission.admit(cluster);
    if (!admitted.ok) {
      refused(cluster, peer, admitted.reason, `retry after ${Math.round(admitted.retryAfterMs)} ms`);
      sendAway(stream, { ...OVERLOADED, ...admitted });
      return;
    }
    let host = hosts.get(cluster);
    if (host === undefined) {
      if (hosts.size >= MAX_SESSIONS) {
        refused(cluster, peer, "TooManySessions", `at most ${MAX_SESSIONS}`);
        sendAway(stream, { ...OVERLOADED, retryAfterMs: 60_000, reason: "TooManySessions" });
        return;
      }
      host = new SessionHost(cluster, shared);
      hosts.set(cluster, host);
    }
    host.open(stream);
  };

  let stopping = false;
  const awayReason = (): { readonly code: Goodbye_Code; readonly reason: string } | undefined => {
    if (stopping) return { code: Goodbye_Code.SHUTDOWN, reason: "Stopping" };
    return membership.valid() ? undefined : { code: Goodbye_Code.NOT_OWNER, reason: "NotAMember" };
  };
  const transport = new AbortController();
  let server: GrpcServer | undefined;
  const started = await startGrpcServer({
    address: options.address,
    port: options.port,
    tls: options.tls,
    services: [
      federationService({ connection: (peer) => server?.connection(peer), onStream }),
      reflectionService([FederationService, Health, ...(options.services ?? []).map(({ descriptor }) => descriptor)]),
      healthService(health),
      ...(options.services ?? []),
    ],
    authenticate: (certificate) => authenticate(options, certificate),
    limits: { maxConcurrentCalls: 4, ...limits.connections, maxMessageBytes: GRPC_MESSAGE_LIMIT_BYTES },
    clock,
    log,
    metrics,
    signal: transport.signal,
  });
  server = started;

  const unsubscribe = [
    desired.subscribe((cluster) => hosts.get(cluster)?.desiredChanged()),
    revocations.subscribe((cluster) => hosts.get(cluster)?.revocationsChanged()),
    retries.subscribe((cluster) => hosts.get(cluster)?.retriesChanged()),
    directory.subscribe((cluster) => {
      const host = hosts.get(cluster);
      // A stream is ended in order; connections without one are looked at themselves.
      if (host !== undefined && host.streams > 0) host.verdictChanged();
      else started.recheck(cluster);
    }),
    membership.subscribe((valid) => {
      // Streams before anything else (lessons §11.2).
      if (!valid)
        for (const host of hosts.values())
          host.release("this replica lost its membership", membership.elsewhere(host.cluster));
      health.set(FederationService.typeName, valid && !stopping ? ServingStatus.SERVING : ServingStatus.NOT_SERVING);
    }),
  ];

  /** Lame duck (lessons §5.4): no new streams, agents told to go over a window, then the end. */
  const stop = async (): Promise<void> => {
    stopping = true;
    health.set(FederationService.typeName, ServingStatus.NOT_SERVING);
    await membership.drain();
    started.stopAccepting();
    const giveUpMs = clock.monotonic() + limits.lameDuckMs;
    const waiting = [...hosts.values()].filter(({ streams }) => streams > 0);
    const perSecond = Math.max(LAME_DUCK_MIN_PER_SECOND, (waiting.length * 1000) / (limits.lameDuckMs / 2));
    const perRound = Math.ceil((perSecond * LAME_DUCK_ROUND_MS) / 1000);
    log.info({ streams: liveStreams(hosts) }, "stopping: telling agents to go");
    while (liveStreams(hosts) > 0 && clock.monotonic() < giveUpMs) {
      for (const host of waiting.splice(0, perRound)) {
        const retryAfterMs = SHUTDOWN_RETRY_MS * (1 + random.next());
        host.evict(Goodbye_Code.SHUTDOWN, "this replica stops", retryAfterMs, membership.elsewhere(host.cluster));
      }
      await clock.sleep(LAME_DUCK_ROUND_MS);
    }
    for (const off of unsubscribe) off();
    for (const host of hosts.values()) host.stop();
    transport.abort();
    await started.closed;
    log.info({}, "stopped");
  };
  const closed = new Promise<void>((resolve, reject) => {
    const begin = (): void => {
      stop().then(resolve, reject);
    };
    if (options.signal.aborted) begin();
    else options.signal.addEventListener("abort", begin, { once: true });
  });
  log.info({ address: options.address, port: started.port }, "hub listens");

  return {
    port: started.port,
    get connections() {
      return started.connections;
    },
    health,
    closed,
    send: (cluster, key, message) => hosts.get(cluster)?.respond(key, message),
    release: (cluster, endpoint) => hosts.get(cluster)?.release("another replica owns the session now", endpoint),
    move(cluster, endpoint) {
      const host = hosts.get(cluster);
      if (host?.connected !== true) return false;
      host.evict(Goodbye_Code.GO_TO, "the load of the replicas is evened out", 1, endpoint);
      metrics.count("federation_moves_total");
      return true;
    },
    view: {
      replica: options.replica,
      get connected() {
        let connected = 0;
        for (const host of hosts.values()) if (host.connected) connected++;
        return connected;
      },
      agent: (cluster) => hosts.get(cluster)?.view(),
      agents: () => [...hosts.values()].map((host) => host.view()),
      subscribe(listener) {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    },
  };
}

function authenticate(options: HubOptions, certificate: Parameters<typeof tenantIdentity>[0]): Authentication {
  const verdict = tenantIdentity(certificate, options.clock.now());
  if (!verdict.ok) return verdict;
  const { cluster, certificateSerial, notAfterMs } = verdict.identity;
  const known = options.directory.check(cluster, certificateSerial);
  if (!known.ok)
    return { ok: false, reason: known.reason, detail: `cluster ${cluster}, certificate ${certificateSerial}` };
  return { ok: true, principal: { kind: "certificate", name: cluster, groups: [], certificateSerial, notAfterMs } };
}

/** Refuses a stream with a Goodbye: nothing about it is kept. */
function sendAway(
  stream: IncomingStream,
  parts: {
    readonly code: Goodbye_Code;
    readonly reason: string;
    readonly retryAfterMs: number;
    readonly endpoint: string;
  },
): void {
  const pipe = stream.accept(0, { received: () => {}, drained: () => {}, closed: () => {} });
  const { code, retryAfterMs, endpoint, reason: message } = parts;
  const payload = goodbye({ code, retryAfterMs, endpoint, message });
  pipe.send(toBinary(EnvelopeSchema, create(EnvelopeSchema, { payload })));
  pipe.destroy(message, GOODBYE_LINGER_MS);
}

function liveStreams(hosts: ReadonlyMap<string, SessionHost>): number {
  let streams = 0;
  for (const host of hosts.values()) streams += host.streams;
  return streams;
}

import { rfc3339Seconds } from "../../base/clock.ts";
import { Goodbye_Code, type Hello } from "../../api/gen/conductor/federation/v1alpha1/session_pb.ts";
import type { Principal } from "../../api/grpc/principal.ts";
import { assertNever } from "../../base/assert.ts";
import { errorMessage } from "../../base/errors.ts";
import { uuidV7 } from "../../base/ids.ts";
import type { Log } from "../../base/log.ts";
import { fullJitter } from "../../base/backoff.ts";
import { integerBetween } from "../../base/random.ts";
import type { Semaphore } from "../../base/semaphore.ts";
import { encodeFrame } from "../session/encode-frame.ts";
import { type Frame, payloadCase } from "../session/frame.ts";
import { STORE_RETRY } from "../session/limits.ts";
import type { Fact, HubEffect } from "../session/hub/effects.ts";
import type { HubEvent, LoadedSession, StoreOutcome } from "../session/hub/events.ts";
import { HubSession } from "../session/hub/hub-session.ts";
import type { RequestPayload, ResponsePayload, StatePayload } from "../session/payload.ts";
import type { IncomingStream } from "../wire/accept-stream.ts";
import { logFrame, traceparentOf } from "../session/trace-context.ts";
import { Alarm } from "../wire/alarm.ts";
import { decodeEnvelope } from "../wire/decode-envelope.ts";
import type { WirePipe } from "../wire/pipe.ts";
import type { BlobShelf } from "./blob-shelf.ts";
import { ChannelReporter } from "./channel-reporter.ts";
import type { HubLimits, HubOptions } from "./hub-options.ts";
import type { AgentView } from "./hub-view.ts";
import type { DesiredIndex, HubMembership, WriteFence } from "./ports.ts";
import { FactRefused, OwnershipLost } from "./ports.ts";
import type { Turns } from "./turns.ts";
import { TenantRates } from "./tenant-rates.ts";
import { refusedResponse, unsupportedResponse } from "./unsupported-response.ts";

/** What all session hosts of a hub share. */
export interface HubShared {
  readonly options: HubOptions;
  readonly limits: HubLimits;
  readonly shelf: BlobShelf;
  readonly loads: Semaphore;
  readonly membership: HubMembership;
  /** Turns to compare range digests (lessons §5.2). */
  readonly compares: Turns<SessionHost>;
  /** Something about a cluster changed. */
  changed(cluster: string): void;
}

/** Facts being stored above which a stream is not read, and below which it is read again (lessons §4.4). */
const PAUSE_ABOVE = 32;
const RESUME_BELOW = 16;
/** Longest an offer waits for small bodies that could ride with it, milliseconds. */
const WARM_LIMIT_MS = 1_000;
/** Agents of a replica that lost its membership come back spread over this time, milliseconds. */
const RELEASE_SPREAD_MS = 500;
/** How long two agents with one certificate are shown after their last turn, milliseconds: a few turns of 30 s. */
const RIVAL_SHOWN_MS = 300_000;

/** Labels that are counted with every frame. */
const IN = { dir: "in" };
const OUT = { dir: "out" };

/** Least time before an agent that was refused for good may try again, milliseconds. */
const REVOKED_RETRY_MS = 30_000;
/** Longest a revoked cluster keeps its stream, to acknowledge its revocation, milliseconds (lessons §6.4: within 1 s). */
const REVOKED_GRACE_MS = 500;
/** Pause between two looks whether it has, milliseconds. */
const REVOKED_LOOK_MS = 20;

interface LiveStream {
  readonly pipe: WirePipe;
  readonly principal: Principal;
  paused: boolean;
}

/** The thin shell around one tenant's session machine: performs its effects and feeds it what happens. */
export class SessionHost {
  readonly cluster: string;
  readonly #shared: HubShared;
  readonly #log: Log;
  readonly #machine: HubSession;
  readonly #alarm: Alarm;
  readonly #streams = new Map<number, LiveStream>();
  readonly #channel: ChannelReporter;
  readonly #events: HubEvent[] = [];
  readonly #rates: TenantRates;
  #stepping = false;
  /** True while a revoked cluster has its grace. */
  #leaving = false;
  #generation = 0;
  #storing = 0;
  #last: Principal | undefined;
  /** The last turn of two agents with one certificate that was told. */
  #rivalMs: number | undefined;
  #offered: NonNullable<AgentView["offered"]> | undefined;
  #desired: DesiredIndex | undefined;
  #warming = false;
  #desiredDirty = false;
  /** Under which this replica owned the session last. */
  #term = 0n;
  readonly #fence: WriteFence = { hold: () => this.#shared.options.ownership.hold(this.cluster, this.#term) };

  constructor(cluster: string, shared: HubShared) {
    const { options } = shared;
    this.cluster = cluster;
    this.#shared = shared;
    this.#log = options.log.child({ cluster });
    this.#rates = new TenantRates({
      clock: options.clock,
      metrics: options.metrics,
      limits: shared.limits.tenantRates,
    });
    this.#machine = new HubSession({
      cluster,
      random: options.random,
      heartbeatIntervalMs: shared.limits.heartbeatIntervalMs,
    });
    this.#alarm = new Alarm(options.clock, () => this.step({ type: "Tick" }));
    this.#channel = new ChannelReporter(cluster, options.onChannel, this.#log);
    this.#desired = options.desired.current(cluster);
    this.step({ type: "DesiredChanged", desired: this.#desired });
    this.revocationsChanged();
    this.retriesChanged();
  }

  /** A verified stream of this cluster. */
  open(stream: IncomingStream): void {
    const generation = ++this.#generation;
    this.#last = stream.principal;
    const pipe = stream.accept(generation, {
      received: (bytes) => this.#received(generation, bytes),
      drained: () => this.step({ type: "StreamDrained", generation }),
      closed: (reason) => {
        this.#streams.delete(generation);
        this.#log.info({ generation, peer: stream.peer, reason }, "stream closed");
        this.step({ type: "StreamClosed", generation, reason });
      },
    });
    this.#streams.set(generation, { pipe, principal: stream.principal, paused: false });
    this.#log.info(
      { generation, peer: stream.peer, certificateSerial: stream.principal.certificateSerial },
      "stream accepted",
    );
    this.step({ type: "StreamOpened", generation });
  }

  /** The tenant's desired index changed: small bodies come into memory first, so that they can ride with the offer. */
  desiredChanged(): void {
    this.#desiredDirty = true;
    if (!this.#warming) void this.#followDesired();
  }

  revocationsChanged(): void {
    this.step({ type: "RevocationsChanged", pending: this.#shared.options.revocations.pending(this.cluster, 0n) });
  }

  /** The directory's verdict on this cluster may have changed. */
  verdictChanged(): void {
    const { directory } = this.#shared.options;
    for (const { principal } of this.#streams.values()) {
      const verdict = directory.check(this.cluster, principal.certificateSerial);
      if (verdict.ok) continue;
      this.#log.warn({ reason: verdict.reason }, "live stream refused");
      this.#shared.options.metrics.count("federation_refused_total", { reason: verdict.reason });
      if (verdict.reason === "ClusterRevoked") void this.#evictSoon(verdict.reason);
      else this.evict(Goodbye_Code.REVOKED, verdict.reason, REVOKED_RETRY_MS);
      return;
    }
  }

  /** A revoked cluster hears that it is, and has dropped what it holds, before its stream is cut; it does not get long for it. */
  async #evictSoon(reason: string): Promise<void> {
    const { clock, revocations } = this.#shared.options;
    if (this.#leaving) return;
    this.#leaving = true;
    const endMs = clock.monotonic() + REVOKED_GRACE_MS;
    let told = false;
    while (clock.monotonic() < endMs) {
      const waits = revocations.pending(this.cluster, 0n).some(({ target }) => target === "Cluster");
      if (told && !waits) break;
      told ||= waits;
      await clock.sleep(REVOKED_LOOK_MS);
    }
    this.#leaving = false;
    this.evict(Goodbye_Code.REVOKED, reason, REVOKED_RETRY_MS);
  }

  /** Ends the live stream in order; `endpoint` names where the agent should go instead. */
  evict(code: Goodbye_Code, message: string, retryAfterMs: number, endpoint = ""): void {
    this.step({ type: "Evict", code, message, retryAfterMs, endpoint });
  }

  /** Ends the live stream because another replica owns the session, or this one may own nothing. Nothing it said since is handled. */
  release(message: string, endpoint: string): void {
    if (!this.#machine.occupied) return;
    this.#shared.options.metrics.count("federation_fenced_total");
    const retryAfterMs = integerBetween(this.#shared.options.random, 1, RELEASE_SPREAD_MS);
    this.evict(Goodbye_Code.NOT_OWNER, message, retryAfterMs, endpoint);
  }

  /** True while a verified stream carries the session. */
  get connected(): boolean {
    return this.#machine.connected;
  }

  retriesChanged(): void {
    this.step({ type: "RetriesChanged", orders: this.#shared.options.retries.pending(this.cluster) });
  }

  /** Streams that are not closed yet, lingering ones included. */
  get streams(): number {
    return this.#streams.size;
  }

  /** Destroys what is left and stops the timer. */
  stop(): void {
    for (const { pipe } of this.#streams.values()) pipe.destroy("the hub stops", 0);
    this.#alarm.stop();
  }

  /** Sends a message to the agent; lost without a stream, handed in anew when one is live. */
  respond(key: string, payload: Extract<HubEvent, { type: "Respond" }>["payload"]): void {
    this.step({ type: "Respond", payload, key });
  }

  view(): AgentView {
    const view = this.#machine.view();
    const principal = this.#last;
    return {
      cluster: this.cluster,
      connected: view.phase === "live",
      sessionId: view.sessionId,
      term: view.term,
      agentVersion: view.agentVersion,
      ...(view.connectedAtMs === 0 ? {} : { connectedAtMs: view.connectedAtMs }),
      ...(view.lastSeenMs === 0 ? {} : { lastSeenMs: view.lastSeenMs }),
      ...(view.roundTripMs === undefined ? {} : { rttMs: view.roundTripMs }),
      ...(view.held === undefined ? {} : { held: view.held }),
      ...(this.#offered === undefined ? {} : { offered: this.#offered }),
      ...(view.refused === undefined ? {} : { refusedIndex: view.refused }),
      auditBacklog: view.auditBacklogEvents,
      auditStoredThrough: view.auditStoredThrough,
      ...(principal === undefined ? {} : { certificateNotAfterMs: principal.notAfterMs }),
      ...(this.#hasRival(view.rivalMs) ? { rivalMs: view.rivalMs } : {}),
      degradedReason: view.phase === "live" ? "" : (view.lastDisconnect?.reason ?? "NeverConnected"),
      revocationsSentThrough: view.revocationsSentThrough,
      queuedBytes: view.queuedBytes,
      needsResync: view.needsResync,
      lastDisconnect: view.lastDisconnect === undefined ? "" : disconnectText(view.lastDisconnect),
    };
  }

  /** Hands one event to the machine and performs what comes back. Events that arise meanwhile wait their turn. */
  step(event: HubEvent): void {
    // A process that was stopped finds out here, before it handles anything that waited for it.
    if (event.type !== "Evict" && !this.#shared.membership.valid())
      this.release("this replica lost its membership", this.#shared.membership.elsewhere(this.cluster));
    this.#events.push(event);
    if (this.#stepping) return;
    this.#stepping = true;
    let visible = false;
    const { clock } = this.#shared.options;
    try {
      for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) {
        visible ||= isVisible(next);
        const { afterPersist } = this.#machine.step(next, clock.monotonic(), clock.now());
        for (const effect of afterPersist) this.#perform(effect);
      }
    } finally {
      this.#stepping = false;
    }
    this.#alarm.set(this.#machine.deadlineMs);
    if (visible) this.#shared.changed(this.cluster);
  }

  #received(generation: number, bytes: Uint8Array): void {
    const { metrics } = this.#shared.options;
    metrics.count("federation_bytes_total", IN, bytes.length);
    const decoded = decodeEnvelope(bytes);
    if (!decoded.ok) {
      metrics.count("federation_messages_total", { type: "invalid", dir: "in" });
      this.step({ type: "FrameInvalid", generation, tooLarge: decoded.tooLarge, detail: decoded.detail });
      return;
    }
    metrics.count("federation_messages_total", { type: decoded.envelope.payload.case ?? "unknown", dir: "in" });
    const { payload, traceparent } = decoded.envelope;
    logFrame(this.#log, payload.case, traceparent, "from the agent");
    this.step({ type: "FrameReceived", generation, envelope: decoded.envelope, bytes: bytes.length });
    if (payload.case !== "heartBeat" || !payload.value.isAck) return;
    const { roundTripMs } = this.#machine.view();
    if (roundTripMs !== undefined) metrics.observe("federation_rtt_seconds", roundTripMs / 1000);
  }

  #perform(effect: HubEffect): void {
    switch (effect.type) {
      case "Send":
        this.#send(effect.generation, effect.frame);
        return;
      case "Destroy": {
        const { generation, code, detail, lingerMs } = effect;
        this.#shared.options.metrics.count("federation_streams_ended_total", { reason: code });
        const fields = { generation, code, detail };
        if (code === "PeerGoodbye" || code === "Superseded" || code === "Evicted")
          this.#log.info(fields, "ending stream");
        else this.#log.warn(fields, "ending stream");
        this.#streams.get(generation)?.pipe.destroy(`${code}: ${detail}`, lingerMs);
        return;
      }
      case "LoadSession":
        this.#watchRivals();
        void this.#load(effect.generation, effect.hello);
        return;
      case "PinBlob":
        void this.#pin(effect.token, effect.digest);
        return;
      case "UnpinBlob":
        this.#unpin(effect.token, effect.digest);
        return;
      case "AcquireCompare":
        this.#shared.compares.acquire(this, () => this.step({ type: "CompareAcquired" }));
        return;
      case "ReleaseCompare":
        this.#shared.compares.release(this);
        return;
      case "StoreFact":
        void this.#store(effect.token, effect.fact);
        return;
      case "StoreAudit":
        void this.#storeAudit(effect);
        return;
      case "SettleRetry":
        void this.#settleRetry(effect.id);
        return;
      case "HandleRequest":
        void this.#request(effect);
        return;
      case "ChannelChanged": {
        const { metrics } = this.#shared.options;
        metrics.gauge("federation_degraded", effect.connected ? 0 : 1, { cluster: this.cluster });
        this.#log.info(
          { connected: effect.connected, reason: effect.reason, detail: effect.detail },
          "channel changed",
        );
        const view = this.#machine.view();
        this.#channel.report({
          connected: effect.connected,
          reason: effect.reason,
          detail: effect.detail,
          sessionId: view.sessionId,
          term: this.#term,
          replica: this.#shared.options.replica,
          agentVersion: view.agentVersion,
          auditBacklogEvents: Number(view.auditBacklogEvents),
          ...(view.lastSeenMs === 0 ? {} : { lastSeenMs: view.lastSeenMs }),
          ...(view.roundTripMs === undefined ? {} : { rttMs: view.roundTripMs }),
        });
        return;
      }
      case "Resync":
        void this.#resync(effect.keys);
        return;
      default:
        assertNever(effect);
    }
  }

  #send(generation: number, frame: Frame): void {
    const stream = this.#streams.get(generation);
    if (stream === undefined) return;
    const bytes = encodeFrame(frame, this.#shared.shelf);
    const { metrics } = this.#shared.options;
    metrics.count("federation_bytes_total", OUT, bytes.length);
    const sent = payloadCase(frame.body);
    metrics.count("federation_messages_total", { type: sent, dir: "out" });
    logFrame(this.#log, sent, traceparentOf(frame.body), "to the agent");
    if (frame.body.kind === "offer") {
      const { document, digest } = frame.body.offer.desired;
      this.#offered = {
        epoch: document.epoch,
        sequence: document.sequence,
        digest,
        atMs: this.#shared.options.clock.now(),
      };
    }
    if (!stream.pipe.send(bytes)) this.step({ type: "StreamBlocked", generation });
  }

  #hasRival(rivalMs: number | undefined): rivalMs is number {
    return rivalMs !== undefined && this.#shared.options.clock.now() - rivalMs < RIVAL_SHOWN_MS;
  }

  /** A stolen certificate and a copied state directory look the same: somebody must look. */
  #watchRivals(): void {
    const { rivalMs, instanceId } = this.#machine.view();
    if (rivalMs === undefined || rivalMs === this.#rivalMs) return;
    this.#rivalMs = rivalMs;
    this.#shared.options.metrics.count("federation_rival_agents_total", { cluster: this.cluster });
    this.#log.warn({ instanceId }, "two agents with one certificate take turns");
  }

  async #load(generation: number, hello: Hello): Promise<void> {
    const { options, loads, shelf, membership } = this.#shared;
    try {
      const loaded = await loads.run(async (): Promise<LoadedSession> => {
        const [term, itemLevels, audit] = await Promise.all([
          options.ownership.acquire(this.cluster, hello.highestTerm),
          options.facts.itemLevels(this.cluster),
          options.audit.position(this.cluster, hello.audit?.epoch ?? 0n),
          this.#desired === undefined
            ? undefined
            : this.#atMost(WARM_LIMIT_MS, shelf.warm(this.cluster, this.#desired.document, undefined)),
        ]);
        this.#term = term;
        const endpoints = membership.endpoints(this.cluster);
        return {
          sessionId: uuidV7(options.clock, options.random),
          term,
          replica: options.replica,
          storeWentBack: options.ownership.wentBack(this.cluster),
          audit,
          itemLevels,
          endpoints: endpoints.length > 0 ? endpoints : options.endpoints,
        };
      });
      this.step({ type: "SessionLoaded", generation, loaded });
    } catch (error) {
      this.#log.error({ err: error }, "session could not be loaded");
      this.step({
        type: "SessionLoadFailed",
        generation,
        code: error instanceof OwnershipLost ? Goodbye_Code.NOT_OWNER : Goodbye_Code.OVERLOADED,
        message: `the hub could not load the session: ${errorMessage(error)}`,
        retryAfterMs: integerBetween(options.random, 1_000, 5_000),
        endpoint: membership.elsewhere(this.cluster),
      });
    }
  }

  /** Pins whose answer is awaited; false after the machine let them go meanwhile. */
  readonly #pinning = new Map<number, boolean>();

  async #pin(token: number, digest: Extract<HubEffect, { type: "PinBlob" }>["digest"]): Promise<void> {
    const { shelf } = this.#shared;
    this.#pinning.set(token, true);
    let pinned: { readonly size: number | undefined; readonly busy: boolean };
    try {
      pinned = await shelf.pin(this.cluster, digest);
    } catch (error) {
      this.#log.warn({ err: error, digest }, "body could not be read");
      pinned = { size: undefined, busy: true };
    }
    const wanted = this.#pinning.get(token);
    this.#pinning.delete(token);
    if (wanted === true) this.step({ type: "BlobPinned", token, ...pinned });
    else if (pinned.size !== undefined) shelf.unpin(digest);
  }

  #unpin(token: number, digest: string): void {
    if (this.#pinning.has(token)) this.#pinning.set(token, false);
    else this.#shared.shelf.unpin(digest);
  }

  async #store(token: number, fact: Fact): Promise<void> {
    this.#began();
    // What an agent says of a revocation is never held up.
    if (fact.kind !== "revocation") await this.#rates.fact();
    const outcome = await this.#stored(fact);
    this.#finished();
    this.step({ type: "FactStored", token, outcome });
  }

  async #stored(fact: Fact): Promise<StoreOutcome> {
    const { facts, revocations } = this.#shared.options;
    const term = this.#term;
    try {
      if (fact.kind === "items") await facts.items(this.cluster, fact.reports, this.#fence);
      else if (fact.kind === "state") await this.#storeState(fact.payload);
      else await revocations.acknowledged(this.cluster, fact.serial, fact);
      return { kind: "stored" };
    } catch (error) {
      if (error instanceof FactRefused) {
        this.#log.warn({ fact: fact.kind, reason: error.reason, detail: error.message }, "fact refused");
        return { kind: "refused", reason: error.reason, detail: error.message };
      }
      if (error instanceof OwnershipLost) {
        this.#log.info({ fact: fact.kind, reason: error.message }, "fact left to the owner of the session");
        this.#shared.options.metrics.count("federation_fenced_writes_total");
        // Whoever deleted or moved the ownership: on a new stream it is settled anew.
        if (term === this.#term) this.release(error.message, this.#shared.membership.elsewhere(this.cluster));
      } else this.#log.warn({ err: error, fact: fact.kind }, "fact could not be stored; it is tried again");
      return { kind: "failed" };
    }
  }

  #storeState(payload: StatePayload): Promise<void> {
    const { facts } = this.#shared.options;
    switch (payload.case) {
      case "packReceiptReport":
        return facts.packReceipt(this.cluster, payload.value, this.#fence);
      case "snapshotReceiptReport":
        return facts.snapshotReceipt(this.cluster, payload.value, this.#fence);
      case "driftReport":
        return facts.drift(this.cluster, payload.value, this.#fence);
      case "capabilityDeclaration":
        return facts.capability(this.cluster, payload.value, this.#fence);
    }
  }

  async #storeAudit({ token, batch }: Extract<HubEffect, { type: "StoreAudit" }>): Promise<void> {
    const { audit, metrics } = this.#shared.options;
    this.#began();
    let result: Awaited<ReturnType<typeof audit.append>> | undefined;
    try {
      // No fence: the sink takes each number once, whoever brings it.
      result = await audit.append(this.cluster, batch);
      metrics.gauge("audit_acked_seq", Number(result.contiguousThrough), { cluster: this.cluster });
      for (const { sequence, code } of result.rejected)
        this.#log.warn({ sequence: String(sequence), code }, "audit event refused");
    } catch (error) {
      this.#log.error({ err: error }, "audit batch could not be stored; it is tried again");
    }
    this.#finished();
    this.step({ type: "AuditStored", token, result });
  }

  /** No fence: an order that is over is over, whoever owns the session now. */
  async #settleRetry(id: string): Promise<void> {
    const { retries, clock, random, signal } = this.#shared.options;
    for (let attempts = 0; !signal.aborted; attempts++) {
      try {
        await retries.settled(this.cluster, id);
        return;
      } catch (error) {
        this.#log.warn({ err: error, order: id }, "an operator's retry that is over could not be taken out yet");
        await clock.sleep(fullJitter(STORE_RETRY, attempts, random));
      }
    }
  }

  async #request({ request }: Extract<HubEffect, { type: "HandleRequest" }>): Promise<void> {
    let response: ResponsePayload;
    if (!this.#rates.admitsRequest()) {
      this.#log.warn(
        { request: request.case, limit: this.#shared.limits.tenantRates.requests },
        "request refused: rate",
      );
      response = refusedResponse(request, "RequestRate", "this cluster asks too often; ask again in some seconds");
    } else {
      response = await this.#answer(request);
    }
    this.respond(`response/${response.value.requestId}`, response);
  }

  async #answer(request: RequestPayload): Promise<ResponsePayload> {
    const { onRequest } = this.#shared.options;
    let response = unsupportedResponse(request);
    try {
      if (onRequest !== undefined) response = await onRequest(this.cluster, request);
    } catch (error) {
      this.#log.error({ err: error, request: request.case }, "request failed");
    }
    return response;
  }

  async #resync(keys: ReadonlySet<string> | undefined): Promise<void> {
    const { messages } = this.#shared.options;
    if (messages === undefined) return;
    try {
      for (const { key, message } of await messages(this.cluster))
        if (keys?.has(key) !== false) this.respond(key, message);
    } catch (error) {
      this.#log.warn({ err: error }, "current drift updates could not be read");
    }
  }

  async #followDesired(): Promise<void> {
    const { options, shelf } = this.#shared;
    this.#warming = true;
    try {
      while (this.#desiredDirty) {
        this.#desiredDirty = false;
        const before = this.#desired?.document;
        this.#desired = options.desired.current(this.cluster);
        // Without a stream there is nobody to offer to; without a body to read the offer leaves in this turn.
        if (this.#desired !== undefined && this.#streams.size > 0) {
          const warming = shelf.warm(this.cluster, this.#desired.document, before);
          if (warming !== undefined) await this.#atMost(WARM_LIMIT_MS, warming);
        }
        this.step({ type: "DesiredChanged", desired: this.#desired });
      }
    } finally {
      this.#warming = false;
    }
  }

  /** Waits for work that only saves a round trip; its failure is the fetch's to report. */
  async #atMost(ms: number, work: Promise<void> | undefined): Promise<void> {
    if (work === undefined) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      work
        .catch((error: unknown) => {
          this.#log.debug({ err: error }, "bodies could not be read ahead");
        })
        .finally(() => {
          clearTimeout(timer);
          resolve();
        });
    });
  }

  #began(): void {
    if (++this.#storing <= PAUSE_ABOVE) return;
    for (const stream of this.#streams.values()) {
      if (!stream.paused) stream.pipe.pause();
      stream.paused = true;
    }
  }

  #finished(): void {
    if (--this.#storing >= RESUME_BELOW) return;
    for (const stream of this.#streams.values()) {
      if (stream.paused) stream.pipe.resume();
      stream.paused = false;
    }
  }
}

/** Events that change what operators see. */
function isVisible(event: HubEvent): boolean {
  switch (event.type) {
    case "FrameReceived":
      return event.envelope.payload.case === "heartBeat" || event.envelope.payload.case === "indexReport";
    case "StreamBlocked":
    case "StreamDrained":
    case "BlobPinned":
    case "Respond":
    case "Tick":
      return false;
    default:
      return true;
  }
}

/** Why and when, as people read it: who is not connected has been disconnected, which needs no saying. */
function disconnectText({ reason, detail, atMs }: { reason: string; detail: string; atMs: number }): string {
  return `${reason === "Disconnected" ? "" : `${reason}: `}${detail} (${rfc3339Seconds(atMs)})`;
}

import { Goodbye_Code, type Hello } from "../../../api/gen/conductor/federation/v1alpha1/session_pb.ts";
import { assertNever } from "../../../base/assert.ts";
import { errorMessage } from "../../../base/errors.ts";
import type { Log } from "../../../base/log.ts";
import { integerBetween } from "../../../base/random.ts";
import type { HubEffect } from "../../session/hub/effects.ts";
import type { HubEvent } from "../../session/hub/events.ts";
import { HubSession } from "../../session/hub/hub-session.ts";
import type { Frame } from "../../session/frame.ts";
import type { IncomingStream } from "../../wire/accept-stream.ts";
import { Alarm } from "../../wire/alarm.ts";
import type { AgentView } from "../hub-view.ts";
import { OwnershipLost } from "../ports.ts";
import { TenantRates } from "../tenant-rates.ts";
import { agentView } from "./agent-view.ts";
import { answerRequest } from "./answer-request.ts";
import { BlobPins } from "./blob-pins.ts";
import { ChannelReporter } from "./channel-reporter.ts";
import { FactStoring } from "./fact-storing.ts";
import { FollowedIndex } from "./followed-index.ts";
import type { HostScope, HubShared } from "./host-scope.ts";
import { HostedStream, type StreamOwner } from "./hosted-stream.ts";
import { incomingFrame, sendFrame } from "./frame-traffic.ts";
import { LiveStreams } from "./live-streams.ts";
import { loadSession } from "./load-session.ts";
import { revokedGrace } from "./revoked-grace.ts";
import { isVisible } from "./visible-event.ts";

/** Agents of a replica that lost its membership come back spread over this time, milliseconds. */
const RELEASE_SPREAD_MS = 500;
/** Least time before an agent that was refused for good may try again, milliseconds. */
const REVOKED_RETRY_MS = 30_000;

/** The thin shell around one tenant's session machine: performs its effects and feeds it what happens. */
export class SessionHost implements StreamOwner {
  readonly cluster: string;
  readonly #shared: HubShared;
  readonly #scope: HostScope;
  readonly #log: Log;
  readonly #machine: HubSession;
  readonly #alarm: Alarm;
  readonly #streams = new LiveStreams();
  readonly #index: FollowedIndex;
  readonly #pins: BlobPins;
  readonly #storing: FactStoring;
  readonly #channel: ChannelReporter;
  readonly #rates: TenantRates;
  /** Events that arose while one was being handled; absent while none did. */
  #arisen: HubEvent[] | undefined = undefined;
  #stepping = false;
  /** True while a revoked cluster has its grace. */
  #leaving = false;
  #generation = 0;
  /** The last turn of two agents with one certificate that was told. */
  #rivalMs: number | undefined;
  #offered: AgentView["offered"];

  constructor(cluster: string, shared: HubShared) {
    const { clock, metrics, random, log } = shared.options;
    this.cluster = cluster;
    this.#shared = shared;
    this.#log = log.child({ cluster });
    this.#scope = { cluster, shared, log: this.#log };
    this.#rates = new TenantRates({ clock, metrics, limits: shared.limits.tenantRates });
    this.#machine = new HubSession({ cluster, random, heartbeatIntervalMs: shared.limits.heartbeatIntervalMs });
    this.#alarm = new Alarm(clock, () => this.step({ type: "Tick" }));
    this.#channel = new ChannelReporter(this.#scope);
    this.#pins = new BlobPins(this.#scope);
    this.#storing = new FactStoring(this.#scope, (message) =>
      this.release(message, shared.membership.elsewhere(cluster)),
    );
    this.#index = new FollowedIndex(
      this.#scope,
      () => this.#streams.size > 0,
      (desired) => this.step({ type: "DesiredChanged", desired }),
    );
    this.step({ type: "DesiredChanged", desired: this.#index.current });
    this.revocationsChanged();
    this.retriesChanged();
  }

  /** A verified stream of this cluster. */
  open(stream: IncomingStream): void {
    const generation = ++this.#generation;
    const { peer, principal } = stream;
    const pipe = stream.accept(generation, new HostedStream(this, generation, peer));
    this.#streams.add(pipe, principal);
    this.#log.info({ generation, peer, certificateSerial: principal.certificateSerial }, "stream accepted");
    this.step({ type: "StreamOpened", generation });
  }

  /** The tenant's desired index changed. */
  desiredChanged(): void {
    this.#index.changed();
  }

  revocationsChanged(): void {
    this.step({ type: "RevocationsChanged", pending: this.#shared.options.revocations.pending(this.cluster, 0n) });
  }

  retriesChanged(): void {
    this.step({ type: "RetriesChanged", orders: this.#shared.options.retries.pending(this.cluster) });
  }

  /** The directory's verdict on this cluster may have changed. */
  verdictChanged(): void {
    const { directory, metrics } = this.#shared.options;
    for (const { certificateSerial } of this.#streams.principals()) {
      const verdict = directory.check(this.cluster, certificateSerial);
      if (verdict.ok) continue;
      this.#log.warn({ reason: verdict.reason }, "live stream refused");
      metrics.count("federation_refused_total", { reason: verdict.reason });
      if (verdict.reason === "ClusterRevoked") void this.#evictSoon(verdict.reason);
      else this.evict(Goodbye_Code.REVOKED, verdict.reason, REVOKED_RETRY_MS);
      return;
    }
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

  /** Streams that are not closed yet, lingering ones included. */
  get streams(): number {
    return this.#streams.size;
  }

  /** Destroys what is left and stops the timer. */
  stop(): void {
    this.#streams.destroyAll("the hub stops");
    this.#alarm.stop();
  }

  /** Sends a message to the agent; lost without a stream, handed in anew when one is live. */
  respond(key: string, payload: Extract<HubEvent, { type: "Respond" }>["payload"]): void {
    this.step({ type: "Respond", payload, key });
  }

  view(): AgentView {
    const nowMs = this.#shared.options.clock.now();
    return agentView(this.#machine.view(), this.#offered, this.#streams.lastPrincipal, nowMs);
  }

  /** Hands one event to the machine and performs what comes back. Events that arise meanwhile wait their turn. */
  step(event: HubEvent): void {
    // A process that was stopped finds out here, before it handles anything that waited for it.
    if (event.type !== "Evict" && !this.#shared.membership.valid())
      this.release("this replica lost its membership", this.#shared.membership.elsewhere(this.cluster));
    if (this.#stepping) {
      (this.#arisen ??= []).push(event);
      return;
    }
    this.#stepping = true;
    let visible = false;
    const { clock } = this.#shared.options;
    try {
      for (let next: HubEvent | undefined = event; next !== undefined; next = this.#arisen?.shift()) {
        visible ||= isVisible(next);
        const { afterPersist } = this.#machine.step(next, clock.monotonic(), clock.now());
        for (const effect of afterPersist) this.#perform(effect);
      }
      this.#arisen = undefined;
    } finally {
      this.#stepping = false;
    }
    this.#alarm.set(this.#machine.deadlineMs);
    if (visible) this.#shared.changed(this.cluster);
  }

  /** A message came over one of the streams. */
  received(generation: number, bytes: Uint8Array): void {
    const event = incomingFrame(this.#scope, generation, bytes);
    this.step(event);
    if (event.type !== "FrameReceived") return;
    const { payload } = event.envelope;
    if (payload.case !== "heartBeat" || !payload.value.isAck) return;
    const { roundTripMs } = this.#machine.view();
    if (roundTripMs !== undefined) this.#shared.options.metrics.observe("federation_rtt_seconds", roundTripMs / 1000);
  }

  /** One of the streams takes frames again. */
  drained(generation: number): void {
    this.step({ type: "StreamDrained", generation });
  }

  /** A stream is over. */
  closed(generation: number, peer: string, reason: string): void {
    this.#streams.remove(generation);
    this.#log.info({ generation, peer, reason }, "stream closed");
    this.step({ type: "StreamClosed", generation, reason });
  }

  #perform(effect: HubEffect): void {
    switch (effect.type) {
      case "Send":
        this.#send(effect.generation, effect.frame);
        return;
      case "Destroy":
        this.#destroy(effect);
        return;
      case "LoadSession":
        this.#watchRivals();
        void this.#load(effect.generation, effect.hello);
        return;
      case "PinBlob":
        void this.#pin(effect);
        return;
      case "UnpinBlob":
        this.#pins.unpin(effect.token, effect.digest);
        return;
      case "AcquireCompare":
        this.#shared.compares.acquire(this.cluster, () => this.step({ type: "CompareAcquired" }));
        return;
      case "ReleaseCompare":
        this.#shared.compares.release(this.cluster);
        return;
      case "StoreFact":
        void this.#storeFact(effect);
        return;
      case "StoreAudit":
        void this.#storeAudit(effect);
        return;
      case "SettleRetry":
        void this.#storing.settleRetry(effect.id);
        return;
      case "HandleRequest":
        void this.#answer(effect);
        return;
      case "ChannelChanged":
        this.#channel.report(effect, this.#machine.view(), this.#storing.term);
        return;
      case "Resync":
        void this.#resync(effect.keys);
        return;
      default:
        assertNever(effect);
    }
  }

  #destroy({ generation, code, detail, lingerMs }: Effect<"Destroy">): void {
    this.#shared.options.metrics.count("federation_streams_ended_total", { reason: code });
    const fields = { generation, code, detail };
    if (code === "PeerGoodbye" || code === "Superseded" || code === "Evicted") this.#log.info(fields, "ending stream");
    else this.#log.warn(fields, "ending stream");
    this.#streams.pipe(generation)?.destroy(`${code}: ${detail}`, lingerMs);
  }

  #send(generation: number, frame: Frame): void {
    const pipe = this.#streams.pipe(generation);
    if (pipe === undefined) return;
    const writable = sendFrame(this.#scope, pipe, frame);
    if (frame.body.kind === "offer") {
      const { document, digest } = frame.body.offer.desired;
      this.#offered = {
        epoch: document.epoch,
        sequence: document.sequence,
        digest,
        atMs: this.#shared.options.clock.now(),
      };
    }
    if (!writable) this.step({ type: "StreamBlocked", generation });
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
    try {
      const loaded = await loadSession(this.#scope, hello, this.#index);
      this.#storing.owned(loaded.term);
      this.step({ type: "SessionLoaded", generation, loaded });
    } catch (error) {
      this.#log.error({ err: error }, "session could not be loaded");
      this.step({
        type: "SessionLoadFailed",
        generation,
        code: error instanceof OwnershipLost ? Goodbye_Code.NOT_OWNER : Goodbye_Code.OVERLOADED,
        message: `the hub could not load the session: ${errorMessage(error)}`,
        retryAfterMs: integerBetween(this.#shared.options.random, 1_000, 5_000),
        endpoint: this.#shared.membership.elsewhere(this.cluster),
      });
    }
  }

  async #pin({ token, digest }: Effect<"PinBlob">): Promise<void> {
    const pinned = await this.#pins.pin(token, digest);
    if (pinned !== undefined) this.step({ type: "BlobPinned", token, ...pinned });
  }

  async #storeFact({ token, fact }: Effect<"StoreFact">): Promise<void> {
    const outcome = await this.#streams.during(async () => {
      // What an agent says of a revocation is never held up.
      if (fact.kind !== "revocation") await this.#rates.fact();
      return this.#storing.store(fact);
    });
    this.step({ type: "FactStored", token, outcome });
  }

  async #storeAudit({ token, batch }: Effect<"StoreAudit">): Promise<void> {
    const result = await this.#streams.during(() => this.#storing.storeAudit(batch));
    this.step({ type: "AuditStored", token, result });
  }

  async #answer({ request }: Effect<"HandleRequest">): Promise<void> {
    const response = await answerRequest(this.#scope, this.#rates, request);
    this.respond(`response/${response.value.requestId}`, response);
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

  /** A revoked cluster hears that it is, and has dropped what it holds, before its stream is cut; it does not get long for it. */
  async #evictSoon(reason: string): Promise<void> {
    if (this.#leaving) return;
    this.#leaving = true;
    await revokedGrace(this.#scope);
    this.#leaving = false;
    this.evict(Goodbye_Code.REVOKED, reason, REVOKED_RETRY_MS);
  }
}

type Effect<Type extends HubEffect["type"]> = Extract<HubEffect, { readonly type: Type }>;

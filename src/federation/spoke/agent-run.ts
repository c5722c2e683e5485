import type { RevocationPush } from "../../api/gen/conductor/federation/v1alpha1/commands_pb.ts";
import { assertNever } from "../../base/assert.ts";
import { SeamError, errorMessage } from "../../base/errors.ts";
import { uuidV4 } from "../../base/ids.ts";
import type { Log } from "../../base/log.ts";
import { type Metrics, silentMetrics } from "../../base/metrics.ts";
import type { IndexRevocation } from "../index/index-document.ts";
import { auditBatch, loadedFact } from "../outbox/load-facts.ts";
import type { Outbox } from "../outbox/outbox.ts";
import { verifyRevocation } from "../revocation/verify-revocation.ts";
import { PAYLOAD_TYPES, encodeEnvelope } from "../../trust/dsse.ts";
import { type FrameBodies, encodeFrame } from "../session/encode-frame.ts";
import { type Frame, payloadCase } from "../session/frame.ts";
import type { ResponsePayload } from "../session/payload.ts";
import type { SpokeEffect } from "../session/spoke/effects.ts";
import type { SpokeEvent } from "../session/spoke/events.ts";
import type { SpokeRecord, SpokeWrite } from "../session/spoke/record.ts";
import { SpokeSession } from "../session/spoke/spoke-session.ts";
import type { TlsMaterial } from "../../trust/tls/tls-material.ts";
import { TlsSessions } from "../../trust/tls/tls-sessions.ts";
import { logFrame, traceparentOf } from "../session/trace-context.ts";
import { Alarm } from "../wire/alarm.ts";
import { decodeEnvelope } from "../wire/decode-envelope.ts";
import { DialError, dialStream } from "../wire/dial-stream.ts";
import type { WirePipe } from "../wire/pipe.ts";
import { HandlerRunner } from "./handler-runner.ts";
import { ReadyQueue } from "./ready-queue.ts";
import type { SpokeOptions } from "./spoke-options.ts";

/** What a run tells its owner. */
export interface AgentRunEvents {
  channel(state: { readonly connected: boolean; readonly degraded: boolean; readonly reason: string }): void;
  response(response: ResponsePayload): void;
  requestFailed(requestId: string, reason: string): void;
  /** The store refused a write: the machine has moved on without it, so this run is over. */
  storeFailed(error: unknown): void;
}

/** An agent sends neither chunks nor offers, so its frames refer to no bodies. */
const NO_BODIES: FrameBodies = {
  pinned: (digest) => {
    throw new Error(`an agent sends no chunks (${digest})`);
  },
  inline: () => undefined,
};
/** Longest wait for the last stream to close when the agent stops, milliseconds. */
const STOP_LIMIT_MS = 3_000;

/** One life of the agent's session machine: from what the store holds until the agent stops or the store fails. */
export class AgentRun {
  readonly machine: SpokeSession;
  readonly #options: SpokeOptions;
  readonly #outbox: Outbox;
  readonly #events: AgentRunEvents;
  readonly #log: Log;
  readonly #metrics: Metrics;
  readonly #alarm: Alarm;
  readonly #readys: ReadyQueue<SpokeWrite, SpokeEffect>;
  readonly #handlers: HandlerRunner;
  readonly #pipes = new Map<number, WirePipe>();
  readonly #dials = new Map<number, AbortController>();
  /** Endpoint of the stream that ended last. It is dialled after the others: it sent this agent away, or it is gone. */
  #left = "";
  #sessions = new TlsSessions();
  #sessionTls: TlsMaterial | undefined;
  #pipesClosed: (() => void) | undefined;
  #over = false;

  constructor(options: SpokeOptions, outbox: Outbox, record: SpokeRecord, events: AgentRunEvents) {
    const { cluster, clock, random } = options;
    this.#options = options;
    this.#outbox = outbox;
    this.#events = events;
    this.#metrics = options.metrics ?? silentMetrics;
    this.#log = options.log.child({ component: "spoke", cluster });
    this.machine = new SpokeSession({
      cluster,
      agentVersion: options.agentVersion,
      instanceId: uuidV4(random),
      keys: options.keys,
      trustedKeyIds: options.trustedKeyIds ?? [],
      random,
      record,
      readBackMs: clock.now(),
    });
    this.#alarm = new Alarm(clock, () => this.step({ type: "Tick" }));
    this.#readys = new ReadyQueue({
      clock,
      persist: (writes) => this.#persist(writes),
      perform: (effect) => this.#perform(effect),
      failed: (error) => {
        this.#log.error({ err: error }, "the store refused a write");
        events.storeFailed(error);
      },
      lagging: (lags) => {
        for (const pipe of this.#pipes.values()) {
          if (lags) pipe.pause();
          else pipe.resume();
        }
      },
    });
    this.#handlers = new HandlerRunner({
      cluster,
      handlers: options.handlers,
      outbox,
      log: this.#log,
      done: (token, nack) => this.step({ type: "HandlerDone", token, nack }),
      waiting: (token, text) => this.step({ type: "HandlerWaiting", token, text }),
    });
  }

  /** Hands one event to the machine and queues what comes back. */
  step(event: SpokeEvent): void {
    if (this.#over) return;
    const { clock } = this.#options;
    this.#readys.push(this.machine.step(event, clock.monotonic(), clock.now()));
    this.#alarm.set(this.machine.deadlineMs);
  }

  /** Says Goodbye, waits for the stream to close, aborts handlers and waits for them. */
  async stop(reason: string): Promise<void> {
    this.step({ type: "Stop", reason });
    if (this.#pipes.size > 0 && !this.#over) {
      const timer = new AbortController();
      await Promise.race([
        new Promise<void>((resolve) => {
          this.#pipesClosed = resolve;
        }),
        this.#options.clock.sleep(STOP_LIMIT_MS, timer.signal).catch(() => {
          // the pipes closed first
        }),
      ]);
      timer.abort();
    }
    await this.end();
  }

  /** Ends the run at once; nothing more is performed. */
  async end(): Promise<void> {
    this.#over = true;
    this.#readys.stop();
    this.#alarm.stop();
    for (const dial of this.#dials.values()) dial.abort();
    for (const pipe of this.#pipes.values()) pipe.destroy("the agent stops", 0);
    await this.#handlers.stop();
  }

  /** A whole body that has become durable is at hand for the handler that waits for it. */
  async #persist(writes: readonly SpokeWrite[]): Promise<void> {
    await this.#outbox.apply(writes);
    for (const write of writes)
      if (write.type === "AppendBlob" && write.checked && write.offset === 0)
        this.#handlers.arrived(write.digest, write.data);
  }

  #perform(effect: SpokeEffect): void {
    switch (effect.type) {
      case "Dial":
        void this.#dial(effect.generation, effect.endpoints);
        return;
      case "Send":
        this.#send(effect.generation, effect.frame);
        return;
      case "Destroy": {
        const { generation, code, detail, lingerMs } = effect;
        this.#log.info({ generation, code, detail }, "ending stream");
        this.#dials.get(generation)?.abort();
        this.#pipes.get(generation)?.destroy(`${code}: ${detail}`, lingerMs);
        return;
      }
      case "RunHandler":
        this.#handlers.run(effect.token, effect.phase, effect.item);
        return;
      case "AbortHandler":
        this.#handlers.abort(effect.token);
        return;
      case "CheckBlob":
        this.#ask(this.#outbox.checkBlob(effect.digest), (ok) => ({ type: "BlobChecked", digest: effect.digest, ok }));
        return;
      case "LoadFacts":
        this.#ask(this.#outbox.loadFacts(effect.keys), (facts) => ({
          type: "FactsLoaded",
          token: effect.token,
          facts: facts.map(loadedFact),
        }));
        return;
      case "ListFacts":
        void this.#listFacts();
        return;
      case "LoadAudit": {
        const { token, epoch, from, maxEvents, maxBytes } = effect;
        this.#ask(this.#outbox.loadAudit(epoch, from, maxEvents, maxBytes), (events) => ({
          type: "AuditLoaded",
          token,
          ...auditBatch(epoch, events),
        }));
        return;
      }
      case "Revoke":
        void this.#revoke(effect.push);
        return;
      case "EnforceFloors":
        void this.#enforce(effect.token, effect.floors);
        return;
      case "IndexFreshness": {
        const { expired, expiresAt } = effect;
        this.#metrics.gauge("federation_index_expired", expired ? 1 : 0, { cluster: this.#options.cluster });
        if (expired) this.#log.warn({ expiresAt }, "the index in force ran out: nothing new follows from it");
        else this.#log.info({ expiresAt }, "the index in force is fresh again");
        this.#options.events.indexFreshness({ expired, expiresAt });
        return;
      }
      case "DriftUpdated":
        this.#options.events.driftUpdate(effect.update);
        return;
      case "Response":
        this.#events.response(effect.response);
        return;
      case "RequestFailed":
        this.#events.requestFailed(effect.requestId, effect.reason);
        return;
      case "FactRefused":
        this.#metrics.count("federation_facts_refused_total", { reason: effect.reason });
        this.#log.warn({ key: effect.key, reason: effect.reason, detail: effect.detail }, "the hub refused a report");
        return;
      case "AuditRefused":
        for (const { sequence, code } of effect.rejected)
          this.#log.warn({ sequence: String(sequence), code }, "the hub refused an audit event");
        return;
      case "AuditMoved":
        this.#metrics.count("audit_log_moved_total");
        this.#log.warn(
          { behind: String(effect.behind), by: String(effect.by) },
          "the audit log was restored or lost its end: what it holds gets numbers behind those the hub has",
        );
        return;
      case "IndexJudged":
        if (!effect.accepted) {
          this.#metrics.count("verify_failures_total", { kind: "federation-index", reason: effect.code });
          this.#options.events.indexRefused?.({ sequence: effect.sequence, code: effect.code });
        }
        this.#log.info({ accepted: effect.accepted, sequence: effect.sequence, code: effect.code }, "index judged");
        return;
      case "ChannelChanged": {
        const { connected, degraded, reason } = effect;
        this.#log.info({ connected, degraded, reason }, "channel changed");
        this.#metrics.gauge("federation_degraded", degraded ? 1 : 0, { cluster: this.#options.cluster });
        this.#events.channel({ connected, degraded, reason });
        return;
      }
      default:
        assertNever(effect);
    }
  }

  async #dial(generation: number, named: readonly string[]): Promise<void> {
    const dial = new AbortController();
    this.#dials.set(generation, dial);
    const failures: string[] = [];
    let answered = false;
    const known = named.length > 0 ? named : this.#options.endpoints;
    const endpoints = [...known.filter((each) => each !== this.#left), ...known.filter((each) => each === this.#left)];
    try {
      const tls = await this.#options.tls();
      for (const endpoint of endpoints) {
        try {
          const pipe = await this.#open(endpoint, generation, tls, dial.signal);
          this.#dials.delete(generation);
          this.#pipes.set(generation, pipe);
          if (this.#over) {
            pipe.destroy("the agent stops", 0);
            return;
          }
          this.#log.info({ generation, endpoint }, "stream open");
          this.step({ type: "StreamOpened", generation });
          return;
        } catch (error) {
          failures.push(errorMessage(error));
          answered ||= !(error instanceof DialError) || error.answered;
          if (dial.signal.aborted) break;
        }
      }
    } catch (error) {
      failures.push(errorMessage(error));
    }
    this.#dials.delete(generation);
    const reason = failures.length === 0 ? "no endpoint is configured" : failures.join("; ");
    this.#log.warn({ generation, reason, answered }, "dial failed");
    this.step({ type: "DialFailed", generation, reason, answered });
  }

  #open(endpoint: string, generation: number, tls: TlsMaterial, signal: AbortSignal): Promise<WirePipe> {
    const { serverName, deadlines } = this.#options;
    return dialStream({
      endpoint,
      tls,
      sessions: this.#sessionsOf(tls),
      generation,
      signal,
      ...(serverName === undefined ? {} : { serverName }),
      ...(deadlines === undefined ? {} : { deadlines }),
      listener: {
        received: (bytes) => this.#received(generation, bytes),
        drained: () => this.step({ type: "StreamDrained", generation }),
        closed: (reason) => {
          this.#pipes.delete(generation);
          this.#left = endpoint;
          this.#log.info({ generation, reason }, "stream closed");
          this.step({ type: "StreamClosed", generation, reason });
          if (this.#pipes.size === 0) this.#pipesClosed?.();
        },
      },
    });
  }

  /** What another certificate or CA began is not resumed. */
  #sessionsOf(tls: TlsMaterial): TlsSessions {
    const { certificatePem, caPem } = this.#sessionTls ?? {};
    if (certificatePem !== tls.certificatePem || caPem !== tls.caPem) this.#sessions = new TlsSessions();
    this.#sessionTls = tls;
    return this.#sessions;
  }

  #received(generation: number, bytes: Uint8Array): void {
    const decoded = decodeEnvelope(bytes);
    if (!decoded.ok) {
      this.step({ type: "FrameInvalid", generation, tooLarge: decoded.tooLarge, detail: decoded.detail });
      return;
    }
    this.#metrics.count("federation_messages_total", { type: decoded.envelope.payload.case ?? "unknown", dir: "in" });
    const { payload, traceparent } = decoded.envelope;
    logFrame(this.#log, payload.case, traceparent, "from the hub");
    this.step({ type: "FrameReceived", generation, envelope: decoded.envelope, bytes: bytes.length });
  }

  #send(generation: number, frame: Frame): void {
    const pipe = this.#pipes.get(generation);
    if (pipe === undefined) return;
    const sent = payloadCase(frame.body);
    this.#metrics.count("federation_messages_total", { type: sent, dir: "out" });
    logFrame(this.#log, sent, traceparentOf(frame.body), "to the hub");
    if (!pipe.send(encodeFrame(frame, NO_BODIES))) this.step({ type: "StreamBlocked", generation });
  }

  /** A read of the store whose answer is an event; a store that cannot be read ends the run. */
  #ask<T>(read: Promise<T>, event: (value: T) => SpokeEvent): void {
    read.then(
      (value) => this.step(event(value)),
      (error: unknown) => {
        if (this.#over) return;
        this.#log.error({ err: error }, "the store refused a read");
        this.#events.storeFailed(error);
      },
    );
  }

  /** The hub lost what it had stored: what waits again is told to the machine one by one, as it is after a start. */
  async #listFacts(): Promise<void> {
    try {
      const { facts } = await this.#outbox.record();
      for (const fact of facts) this.step({ type: "FactPending", fact });
    } catch (error) {
      if (this.#over) return;
      this.#log.error({ err: error }, "the store refused a read");
      this.#events.storeFailed(error);
    }
  }

  async #revoke(push: RevocationPush): Promise<void> {
    const { cluster, keys, events } = this.#options;
    let outcome: { readonly applied: boolean; readonly detail: string };
    try {
      const verdict = verifyRevocation(push, cluster, keys);
      outcome = verdict.ok
        ? await events.revoke(verdict.revocation, push.envelope)
        : { applied: false, detail: verdict.detail };
      const fields = { revocation: push.revocationId, serial: String(push.serial), ...outcome };
      this.#log[outcome.applied ? "info" : "warn"](fields, "revocation");
    } catch (error) {
      this.#log.error({ err: error, revocation: push.revocationId }, "revocation could not be put in force");
      outcome = { applied: false, detail: errorMessage(error) };
    }
    this.step({ type: "RevokeDone", serial: push.serial, ...outcome });
  }

  /** The index in force, as it was signed. */
  async #signedIndex(): Promise<Uint8Array> {
    const { index } = await this.#outbox.record();
    if (index === undefined) throw new Error("no index is held");
    const { body, signatures } = index;
    return encodeEnvelope({ payloadType: PAYLOAD_TYPES.index, body, signatures });
  }

  async #enforce(token: number, floors: readonly IndexRevocation[]): Promise<void> {
    let ok = true;
    try {
      await this.#options.events.enforceFloors(floors, () => this.#signedIndex());
    } catch (error) {
      ok = false;
      this.#log.error({ err: error }, "revocation floors of the index could not be put in force; tried again");
    }
    this.step({ type: "FloorsEnforced", token, ok });
  }
}

/** What a request to the hub failed with, for whoever asked. */
export function requestError(requestId: string, reason: string): SeamError {
  return new SeamError({
    reason,
    object: `request ${requestId}`,
    expected: "an answer of the hub",
    remedy: "try again when the federation channel is up",
  });
}

import type { Envelope } from "../../src/api/gen/conductor/federation/v1alpha1/federation_pb.ts";
import type { IndexOffer } from "../../src/api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import { RevocationAck_Outcome } from "../../src/api/gen/conductor/federation/v1alpha1/commands_pb.ts";
import { itemKey } from "../../src/federation/index/index-document.ts";
import type { Frame } from "../../src/federation/session/frame.ts";
import type { HubEffect } from "../../src/federation/session/hub/effects.ts";
import type { HubEvent } from "../../src/federation/session/hub/events.ts";
import type { HubSession } from "../../src/federation/session/hub/hub-session.ts";
import { HELLO_DEADLINE_MS } from "../../src/federation/session/limits.ts";
import { type HubStore, REFUSED_FACT } from "./hub-store.ts";
import { itemReportsIn } from "./carried-reports.ts";
import { isForged } from "./forgery.ts";
import { type Duty, Outgoing } from "./outgoing.ts";
import { PaceRules } from "./pace-rules.ts";
import { RivalRules } from "./rival-rules.ts";
import { must } from "./world.ts";

/** Streams that one session may have at a time: the one that carries it, and one that wants to. */
const MAX_STREAMS = 2;
/** How late a machine may end a stream whose deadline passed, milliseconds: it looks at its next tick. */
const LATE_MS = 1_500;

/** Ends that time alone brings, whatever the event of the step was. */
const BY_TIME: ReadonlySet<string> = new Set([
  "HeartbeatMissed",
  "DrainTimeout",
  "Stalled",
  "HelloTimeout",
  "LoadFailed",
]);

interface Stream {
  readonly out: Outgoing;
  readonly openedMs: number;
  /** Highest term the agent has seen, by its Hello. */
  helloTerm: bigint | undefined;
  /** Frames whose refusal was said. */
  readonly rejected: Set<number>;
}

/** What every hub session must keep, whatever happens: asked after every step, from outside of the machine. */
export class HubRules {
  readonly #cluster: string;
  readonly #store: HubStore;
  readonly #streams: Map<number, Stream> = new Map();
  /** Requests that were handed to the room that answers them. */
  readonly #handled: Set<string> = new Set();
  readonly #pace: PaceRules;
  readonly #rivals: RivalRules;
  /** Stream that the session is live on. */
  #live: number | undefined = undefined;

  constructor(cluster: string, store: HubStore) {
    this.#cluster = cluster;
    this.#store = store;
    this.#pace = new PaceRules(`hub for ${cluster}`);
    this.#rivals = new RivalRules(`hub for ${cluster}`);
  }

  /** Bytes of bodies sent and not acknowledged, by the simulator's own measure. */
  get bytes(): number {
    let bytes = 0;
    for (const { out } of this.#streams.values()) bytes += out.bytes;
    return bytes;
  }

  /** After a step of the machine, before its effects are performed. */
  stepped(event: HubEvent, effects: readonly HubEffect[], session: HubSession, nowMs: number): void {
    const was = this.#live;
    if (event.type === "StreamOpened") {
      const out = new Outgoing(`hub for ${this.#cluster}`);
      this.#streams.set(event.generation, { out, openedMs: nowMs, helloTerm: undefined, rejected: new Set() });
    }
    for (const effect of effects) {
      if (effect.type === "HandleRequest") {
        const { requestId } = effect.request.value;
        must(!this.#handled.has(requestId), `hub for ${this.#cluster} handles request ${requestId} twice`);
        this.#handled.add(requestId);
      }
      if (effect.type !== "LoadSession") continue;
      const stream = this.#streams.get(effect.generation);
      if (stream !== undefined) stream.helloTerm = effect.hello.highestTerm;
      this.#rivals.accepted(effect.hello.instanceId, session.view().rivalMs !== undefined);
    }
    // What one stream began ends with it: only then may what failed be tried at once.
    if (!session.connected || event.type === "SessionLoaded") this.#pace.ended();
    this.#pace.stepped(event, effects, nowMs);
    this.#checkEnds(event, effects, session, was);
    this.#checkBlocked(event, effects);
    if (event.type === "FrameReceived" && isForged(event.envelope) && this.#streams.has(event.generation))
      must(
        effects.some((effect) => effect.type === "Destroy" && effect.generation === event.generation),
        `hub for ${this.#cluster} takes a forged ${event.envelope.payload.case ?? "frame"}`,
      );
    if (event.type === "Evict") must(!session.occupied, `hub for ${this.#cluster} keeps a stream that was sent away`);
    if (event.type === "StreamClosed") this.#streams.delete(event.generation);
    for (const effect of effects) if (effect.type === "Destroy") this.#streams.delete(effect.generation);
    if (!session.connected) this.#live = undefined;
    else if (event.type === "SessionLoaded" && this.#streams.has(event.generation)) this.#live = event.generation;
    must(
      this.#streams.size <= MAX_STREAMS,
      `hub for ${this.#cluster} has ${this.#streams.size} streams of one session`,
    );
    for (const [generation, { openedMs, helloTerm }] of this.#streams)
      must(
        helloTerm !== undefined || nowMs - openedMs <= HELLO_DEADLINE_MS + LATE_MS,
        `hub for ${this.#cluster} keeps stream ${generation} that says no Hello for ${nowMs - openedMs} ms`,
      );
  }

  /** A frame of the agent is about to be handled. */
  receives(generation: number, envelope: Envelope): void {
    const stream = this.#streams.get(generation);
    if (stream === undefined || isForged(envelope)) return;
    stream.out.acknowledged(Number(envelope.ack));
    const seq = Number(envelope.seq);
    const duty = this.#duty(envelope, stream, seq);
    if (duty !== undefined) stream.out.owes(seq, duty);
  }

  /** A frame goes to the transport. */
  sends(generation: number, frame: Frame, envelope: Envelope): void {
    const stream = this.#streams.get(generation);
    const { payload } = envelope;
    if (payload.case === "welcome")
      must(
        stream?.helloTerm !== undefined && frame.term >= stream.helloTerm,
        `hub for ${this.#cluster} says Welcome under term ${frame.term}, the agent has seen ${stream?.helloTerm}`,
      );
    if (payload.case === "factRejection") stream?.rejected.add(Number(payload.value.seq));
    if (payload.case === "indexOffer") this.#checkOffer(payload.value, frame);
    stream?.out.sends(frame, envelope);
  }

  /** A change that removes something goes ahead of those that do not; bodies of what the agent has quarantined do not ride along. */
  #checkOffer(offer: IndexOffer, { lane }: Frame): void {
    if (offer.form.case === "diff") {
      const removes = offer.form.value.changed.some((item) => DELETED.test(Buffer.from(item).toString()));
      must(
        lane === (removes ? "delete" : "update"),
        `hub for ${this.#cluster} offers what ${removes ? "removes" : "removes nothing"} on the lane ${lane}`,
      );
    }
    if (offer.blobs.length === 0) return;
    const refused = new Map<string, string>();
    for (const report of this.#store.levels.values())
      if (report.nack !== undefined && !report.nack.retryable) refused.set(report.digest, itemKey(report));
    for (const { digest } of offer.blobs)
      must(
        this.#store.lenient || !refused.has(digest) || this.#store.retried.has(refused.get(digest) ?? ""),
        `hub for ${this.#cluster} sends the body of ${refused.get(digest)} again, which was refused for good`,
      );
  }

  /** The end of one stream is not the end of another one. */
  #checkEnds(event: HubEvent, effects: readonly HubEffect[], session: HubSession, was: number | undefined): void {
    if (was === undefined || session.connected) return;
    if (!("generation" in event) || event.generation === was) return;
    if (event.type === "FrameReceived" && event.envelope.payload.case === "hello") return; // a newer stream takes over
    const ended = effects.find((effect) => effect.type === "Destroy" && effect.generation === was);
    if (ended?.type === "Destroy" && BY_TIME.has(ended.code)) return;
    must(false, `hub for ${this.#cluster}: ${event.type} of stream ${event.generation} ends stream ${was}`);
  }

  #checkBlocked(event: HubEvent, effects: readonly HubEffect[]): void {
    const blocked = blockedBy(event.type);
    if (blocked !== undefined && "generation" in event) this.#streams.get(event.generation)?.out.told(blocked);
    for (const effect of effects)
      if (effect.type === "Send") this.#streams.get(effect.generation)?.out.checkMayLeave(effect.frame);
  }

  #duty(envelope: Envelope, { rejected }: Stream, seq: number): Duty | undefined {
    const store = this.#store;
    const { payload } = envelope;
    switch (payload.case) {
      case "itemReport":
      case "itemReports": {
        const reports = itemReportsIn(envelope);
        return () => {
          for (const report of reports) {
            const key = itemKey(report);
            const held = store.levels.get(key);
            if (store.lenient || (held !== undefined && held.version > report.version)) continue;
            const stored = held?.version === report.version && held.level >= report.level;
            if (!stored) return `${key} at level ${report.level} before it is stored`;
          }
          return "";
        };
      }
      case "packReceiptReport": {
        const { receiptName, reportVersion } = payload.value;
        if (receiptName === REFUSED_FACT)
          return () => (rejected.has(seq) ? "" : `${receiptName} and does not refuse it`);
        const key = `packReceiptReport/${receiptName}`;
        return () =>
          store.lenient || (store.facts.get(key) ?? 0n) >= reportVersion ? "" : `${key} before it is stored`;
      }
      case "auditEventBatch": {
        const { epoch, events } = payload.value;
        const numbers = events.map(({ sequence }) => sequence);
        return () => {
          const held = store.audit(epoch).events;
          const missing = store.lenient ? undefined : numbers.find((number) => !held.has(number));
          return missing === undefined ? "" : `audit number ${missing} before it is stored`;
        };
      }
      case "revocationAck": {
        const { serial, outcome } = payload.value;
        if (outcome !== RevocationAck_Outcome.APPLIED) return undefined;
        return () =>
          store.pending.some((push) => push.serial === serial) ? `revocation ${serial} and keeps it pending` : "";
      }
      default:
        return undefined;
    }
  }
}

/** An item of an index, as canonical JSON, that is a tombstone. */
const DELETED = /"deleted":true/;

/** What an event says of the transport; undefined when it says nothing. */
export function blockedBy(event: string): boolean | undefined {
  if (event === "StreamBlocked") return true;
  return event === "StreamDrained" ? false : undefined;
}

import { SparseMap } from "../../../base/sparse-map.ts";
import { create } from "@bufbuild/protobuf";
import {
  type ItemReport,
  ItemReport_Level,
  Nack_Class,
} from "../../../api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import { FactRejectionSchema } from "../../../api/gen/conductor/federation/v1alpha1/facts_pb.ts";
import type { Random } from "../../../base/random.ts";
import { itemKey } from "../../index/index-document.ts";
import { STORE_RETRY } from "../limits.ts";
import { nack } from "../message.ts";
import { payloadBytes } from "../payload-size.ts";
import { type Payload, type StatePayload, stateKey } from "../payload.ts";
import type { HubCounters } from "./counters.ts";
import type { Fact } from "./effects.ts";
import type { StoreOutcome } from "./events.ts";
import type { HubPipe, HubStep } from "./step.ts";
import type { Tokens } from "../tokens.ts";
import { retryAtMs } from "../retry.ts";

/** Key of the slot that all item reports share: one transaction stores many. */
const ITEMS = "items";

/** Reason of the refusal of a report whose level is of a later build. */
const UNKNOWN_LEVEL = "UNKNOWN_LEVEL";

/** What waits or is being stored under one key. One store at a time per key keeps the order; newer facts coalesce behind it. */
interface Slot {
  readonly key: string;
  /** Token of the running store; 0 when none runs. */
  token: number;
  running: Pending | undefined;
  waiting: Pending | undefined;
  attempts: number;
  retryAtMs: number;
}

/** A frame that brought a fact. */
interface FactFrame {
  readonly seq: number;
  /** What it brought besides that this build does not know; empty when there is nothing. Told when the rest is durable. */
  readonly unsupported: string;
}

/** A fact and the frames it settles. */
interface Pending {
  fact: Fact;
  /** Frames of `generation` whose effect this is. */
  frames: readonly FactFrame[];
  readonly generation: number;
}

/**
 * Takes facts in and acknowledges each frame after its effect is durable (lessons §3.5, §3.7). Every frame that waits here is
 * unacknowledged, so the window bounds what is held.
 */
export class FactIntake {
  readonly #random: Random;
  readonly #tokens: Tokens;
  readonly #counters: HubCounters;
  readonly #slots: SparseMap<string, Slot> = new SparseMap();
  readonly #byToken: SparseMap<number, Slot> = new SparseMap();

  constructor(random: Random, tokens: Tokens, counters: HubCounters) {
    this.#random = random;
    this.#tokens = tokens;
    this.#counters = counters;
  }

  /** Keys with a fact that is not durable yet. */
  get length(): number {
    return this.#slots.size;
  }

  /** A state-lane report. */
  state(payload: StatePayload, seq: number, generation: number, step: HubStep): void {
    const key = stateKey(payload);
    this.#take(key, { fact: { kind: "state", key, payload }, frames: [frameOf(seq)], generation }, step);
  }

  /** Item reports of one frame. Returns those whose level this build knows; of the others the agent is told. */
  items(reports: readonly ItemReport[], seq: number, pipe: HubPipe, step: HubStep): readonly ItemReport[] {
    const known = reports.filter(isKnown);
    const unsupported = unsupportedText(reports, known);
    if (known.length === 0) {
      reject(pipe, seq, Nack_Class.UNSUPPORTED, UNKNOWN_LEVEL, unsupported);
      return known;
    }
    const fact: Fact = { kind: "items", reports: known };
    this.#take(ITEMS, { fact, frames: [{ seq, unsupported }], generation: pipe.generation }, step);
    return known;
  }

  /** Outcome of a revocation. */
  revocation(fact: Extract<Fact, { kind: "revocation" }>, seq: number, generation: number, step: HubStep): void {
    this.#take(`revocation/${fact.serial}`, { fact, frames: [frameOf(seq)], generation }, step);
  }

  /** Hello, or an accepted index, says that a revocation is in force whose push or acknowledgement was lost on the way. */
  inForce(serial: bigint, detail: string, generation: number, step: HubStep): void {
    const fact: Fact = { kind: "revocation", serial, applied: true, detail, effectiveUnixMs: 0 };
    this.#take(`revocation/${serial}`, { fact, frames: [], generation }, step);
  }

  /** A store ended. */
  stored(token: number, outcome: StoreOutcome, pipe: HubPipe | undefined, step: HubStep): void {
    const slot = this.#byToken.get(token);
    if (slot === undefined) return;
    this.#byToken.delete(token);
    const done = slot.running;
    slot.token = 0;
    slot.running = undefined;
    if (done === undefined) return;
    const live = pipe !== undefined && pipe.generation === done.generation;
    switch (outcome.kind) {
      case "failed":
        this.#counters.storeFailures++;
        // A stream that is gone will not wait for this: its agent sends the newest again (lessons §3.1).
        if (live) slot.waiting = slot.waiting === undefined ? done : merge(done, slot.waiting);
        slot.attempts++;
        slot.retryAtMs = retryAtMs(STORE_RETRY, slot.attempts - 1, this.#random, step.nowMs);
        if (slot.waiting === undefined) this.#slots.delete(slot.key);
        return;
      case "refused":
        this.#counters.factsRefused += done.frames.length;
        if (live)
          for (const { seq } of done.frames) reject(pipe, seq, Nack_Class.INVALID, outcome.reason, outcome.detail);
        break;
      case "stored":
        if (live) for (const frame of done.frames) settle(pipe, frame, isLastWord(done.fact), step);
    }
    slot.attempts = 0;
    slot.retryAtMs = 0;
    if (slot.waiting === undefined) this.#slots.delete(slot.key);
    else this.#start(slot, step);
  }

  /** The stream ended: what is not being stored yet comes again. */
  closed(): void {
    for (const slot of this.#slots.values()) {
      slot.waiting = undefined;
      if (slot.running === undefined) this.#slots.delete(slot.key);
    }
  }

  /** Starts stores whose backoff ended. */
  tick(step: HubStep): void {
    for (const slot of this.#slots.values())
      if (slot.running === undefined && slot.waiting !== undefined && step.nowMs >= slot.retryAtMs)
        this.#start(slot, step);
  }

  get deadlineMs(): number {
    let deadline = Infinity;
    for (const slot of this.#slots.values())
      if (slot.running === undefined && slot.waiting !== undefined) deadline = Math.min(deadline, slot.retryAtMs);
    return deadline;
  }

  #take(key: string, pending: Pending, step: HubStep): void {
    let slot = this.#slots.get(key);
    if (slot === undefined) {
      slot = { key, token: 0, running: undefined, waiting: undefined, attempts: 0, retryAtMs: 0 };
      this.#slots.set(key, slot);
    }
    slot.waiting = slot.waiting === undefined ? pending : merge(slot.waiting, pending);
    if (slot.running === undefined && step.nowMs >= slot.retryAtMs) this.#start(slot, step);
  }

  #start(slot: Slot, step: HubStep): void {
    const next = slot.waiting;
    if (next === undefined) return;
    slot.waiting = undefined;
    slot.running = next;
    slot.token = this.#tokens.next();
    this.#byToken.set(slot.token, slot);
    step.out.push({ type: "StoreFact", token: slot.token, fact: next.fact });
  }
}

function frameOf(seq: number): FactFrame {
  return { seq, unsupported: "" };
}

/** What a frame brought is durable; of what is not known the agent is told, and that answer settles the frame. */
function settle(pipe: HubPipe, { seq, unsupported }: FactFrame, rests: boolean, step: HubStep): void {
  if (unsupported === "") pipe.durable(seq, step.nowMs, 0, rests);
  else reject(pipe, seq, Nack_Class.UNSUPPORTED, UNKNOWN_LEVEL, unsupported);
}

function isKnown({ level }: ItemReport): boolean {
  return level >= ItemReport_Level.UNSPECIFIED && level <= ItemReport_Level.HEALTHY;
}

/** Says what of `reports` is not among `known`; empty when nothing is. */
function unsupportedText(reports: readonly ItemReport[], known: readonly ItemReport[]): string {
  const unknown = reports.find((report) => !isKnown(report));
  if (unknown === undefined) return "";
  const more = reports.length - known.length - 1;
  return `item level ${unknown.level} of ${itemKey(unknown)}${more === 0 ? "" : `, and ${more} more`}`;
}

/** Answers a frame that will never be stored; it counts as processed when the answer leaves. */
function reject(pipe: HubPipe, seq: number, classOf: Nack_Class, reason: string, detail: string): void {
  const value = create(FactRejectionSchema, { seq: BigInt(seq), nack: nack(classOf, false, reason, detail) });
  const payload: Payload = { case: "factRejection", value };
  pipe.queue.push("acknowledgement", payload, payloadBytes(payload), `rejection/${seq}`, undefined, seq);
}

/** True for reports that nothing follows until the hub says something new: an agent waits with the next level of an item for this one. */
function isLastWord(fact: Fact): boolean {
  return (
    fact.kind === "items" &&
    fact.reports.every(({ level, nack: standing }) => level === ItemReport_Level.HEALTHY && standing === undefined)
  );
}

/** The newer fact of a key, with the frames of both. Frames of another stream are dropped: their stream is gone. */
function merge(older: Pending, newer: Pending): Pending {
  const sameStream = older.generation === newer.generation;
  const frames = sameStream ? [...older.frames, ...newer.frames] : newer.frames;
  if (older.fact.kind !== "items" || newer.fact.kind !== "items")
    return { fact: newer.fact, frames, generation: newer.generation };
  const reports = new Map<string, ItemReport>();
  for (const report of older.fact.reports) reports.set(itemKey(report), report);
  for (const report of newer.fact.reports) reports.set(itemKey(report), report);
  return { fact: { kind: "items", reports: [...reports.values()] }, frames, generation: newer.generation };
}

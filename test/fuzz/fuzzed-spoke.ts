import { create } from "@bufbuild/protobuf";
import { RunnerConfigValidationRequestSchema } from "../../src/api/gen/conductor/federation/v1alpha1/commands_pb.ts";
import { Nack_Class } from "../../src/api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import { digestOf } from "../../src/base/digest.ts";
import { SeededRandom, integerBetween } from "../../src/base/random.ts";
import type { DesiredIndex } from "../../src/federation/hub/ports.ts";
import { offerMessage } from "../../src/federation/session/encode-frame.ts";
import { PROTOCOL_VERSIONS } from "../../src/federation/session/limits.ts";
import type { SpokeEffect } from "../../src/federation/session/spoke/effects.ts";
import type { SpokeEvent } from "../../src/federation/session/spoke/events.ts";
import { SpokeSession } from "../../src/federation/session/spoke/spoke-session.ts";
import { AgentStore } from "../simulation/agent-store.ts";
import { START_WALL_MS, ring } from "../transcript/fixture.ts";
import type { FuzzStep } from "./fuzzed-hub.ts";
import { FROM_HUB, pick, randomEnvelope } from "./random-message.ts";
import { StreamRules } from "./stream-rules.ts";

/** A spoke session over a store that watches its own invariants; it hears anything in any order, from a hub that is sometimes right. */
export class FuzzedSpoke {
  readonly #store = new AgentStore("tenant-1");
  #rules = new StreamRules();
  readonly #indexes: readonly DesiredIndex[];
  #session: SpokeSession;
  #nowMs = 0;
  #generation = 0;
  #seq = 0;
  readonly #answers: SpokeEvent[] = [];

  constructor(seed: number, indexes: readonly DesiredIndex[]) {
    this.#indexes = indexes;
    this.#session = this.#boot(seed);
  }

  get live(): boolean {
    return this.#session.connected;
  }

  step({ kind, seed }: FuzzStep): void {
    const random = new SeededRandom(seed);
    if (random.next() < 0.2) this.#nowMs += integerBetween(random, 1, 20_000);
    const event = this.#event(kind, random);
    if (event.type === "FrameReceived") this.#rules.received(event.generation, Number(event.envelope.seq));
    const ready = this.#session.step(event, this.#nowMs, START_WALL_MS + this.#nowMs);
    for (const effect of ready.atOnce) this.#effect(effect, random);
    this.#store.commit(ready.persist);
    for (const effect of ready.afterPersist) this.#effect(effect, random);
    this.#rules.stepped(this.#session.queuedBytes, this.#session.deadlineMs, this.#nowMs);
    this.#session.view(this.#nowMs, START_WALL_MS + this.#nowMs);
  }

  #boot(seed: number): SpokeSession {
    this.#rules = new StreamRules();
    this.#answers.length = 0;
    this.#generation = 0;
    const parts = { cluster: "tenant-1", agentVersion: "v1", instanceId: "i", keys: ring, trustedKeyIds: [] };
    const record = this.#store.record();
    return new SpokeSession({ ...parts, random: new SeededRandom(seed), record, readBackMs: 0 });
  }

  #effect(effect: SpokeEffect, random: SeededRandom): void {
    const refusal = { class: Nack_Class.INVALID, retryable: random.next() < 0.5, reason: "R", detail: "d" };
    switch (effect.type) {
      case "Dial":
        this.#seq = 0;
        this.#generation = effect.generation;
        this.#answers.push({ type: "StreamOpened", generation: effect.generation });
        return;
      case "Send":
        this.#rules.send(effect.generation, effect.frame);
        return;
      case "Destroy":
        this.#rules.destroyed(effect.generation);
        return;
      case "RunHandler":
        this.#answers.push({
          type: "HandlerDone",
          token: effect.token,
          nack: random.next() < 0.2 ? refusal : undefined,
        });
        return;
      case "CheckBlob": {
        const blob = this.#store.blobs.get(effect.digest);
        const ok = blob !== undefined && digestOf(blob.data) === effect.digest;
        this.#answers.push({ type: "BlobChecked", digest: effect.digest, ok });
        return;
      }
      case "LoadFacts":
        this.#answers.push({ type: "FactsLoaded", token: effect.token, facts: this.#store.loadFacts(effect.keys) });
        return;
      case "LoadAudit":
        this.#answers.push({
          type: "AuditLoaded",
          token: effect.token,
          ...this.#store.loadAudit(effect.from, effect.maxEvents, effect.maxBytes),
        });
        return;
      case "Revoke":
        this.#answers.push({
          type: "RevokeDone",
          serial: effect.push.serial,
          applied: random.next() < 0.8,
          detail: "",
        });
        return;
      case "EnforceFloors":
        this.#answers.push({ type: "FloorsEnforced", token: effect.token, ok: random.next() < 0.8 });
        return;
      default:
    }
  }

  #event(kind: number, random: SeededRandom): SpokeEvent {
    const chance = (probability: number): boolean => random.next() < probability;
    const generation = chance(0.97) ? this.#generation : integerBetween(random, 0, this.#generation + 1);
    if (this.#answers.length > 0 && chance(0.5)) {
      const at = integerBetween(random, 0, this.#answers.length - 1);
      return this.#answers.splice(at, 1)[0] ?? { type: "Tick" };
    }
    switch (kind % 16) {
      case 0:
        if (chance(0.05)) this.#session = this.#boot(integerBetween(random, 1, 1_000_000));
        return { type: "Start" };
      case 1:
        return chance(0.05) ? { type: "Stop", reason: "stop" } : { type: "Tick" };
      case 2:
        return chance(0.2) ? { type: "StreamClosed", generation, reason: "reset" } : { type: "Tick" };
      case 3:
        return { type: "StreamBlocked", generation };
      case 4:
        return { type: "StreamDrained", generation };
      case 5:
        return chance(0.1)
          ? { type: "DialFailed", generation, reason: "refused", answered: chance(0.5) }
          : { type: "Tick" };
      case 6: {
        const { key, version } = this.#store.putFact(`web-${integerBetween(random, 0, 20)}`);
        return { type: "FactPending", fact: { key, kind: "packReceiptReport", reportVersion: version } };
      }
      case 7: {
        const last = this.#store.appendAudit(integerBetween(random, 1, 300), "event");
        return { type: "AuditAppended", epoch: this.#store.auditEpoch, last, backlogBytes: 0n };
      }
      case 8: {
        const requestId = `r-${integerBetween(random, 0, 50)}`;
        const value = create(RunnerConfigValidationRequestSchema, { requestId });
        return { type: "Request", request: { case: "runnerConfigValidationRequest", value }, deadlineMs: 5_000 };
      }
      case 9:
        if (chance(0.95)) return { type: "Tick" };
        return { type: "FrameInvalid", generation, tooLarge: chance(0.5), detail: "garbage" };
      case 10:
        return { type: "HandlerWaiting", token: integerBetween(random, 0, 20), text: "x".repeat(2_000) };
      default:
        return { type: "FrameReceived", generation, ...this.#frame(random) };
    }
  }

  #frame(random: SeededRandom): Pick<Extract<SpokeEvent, { type: "FrameReceived" }>, "envelope" | "bytes"> {
    const envelope = randomEnvelope(random, FROM_HUB);
    const opens = this.#seq === 0 && random.next() < 0.8;
    if (opens) {
      envelope.payload = randomEnvelope(random, ["welcome"]).payload;
      const welcome = envelope.payload.value;
      const last = this.#store.auditLast;
      const numbers = { auditResumeSequence: random.next() < 0.5 ? 0n : last, auditHighestSequence: last, term: 1n };
      if (random.next() < 0.95 && welcome !== undefined)
        Object.assign(welcome, { protocolVersion: pick(PROTOCOL_VERSIONS, random), sessionId: "s", ...numbers });
    }
    if (!opens && random.next() < 0.4) this.#offer(envelope, random);
    const right = random.next() < 0.99;
    const name = envelope.payload.case;
    if (right && (name === "goodbye" || name === "protocolError") && random.next() < 0.9)
      envelope.payload = { case: undefined };
    const numbered = name !== "heartBeat" && name !== "goodbye" && name !== "protocolError" && name !== "acknowledge";
    if (right) {
      envelope.sessionId = "s";
      envelope.term = 1n;
      envelope.seq = numbered ? BigInt(++this.#seq) : 0n;
      envelope.ack = BigInt(integerBetween(random, 0, 1) * this.#rules.sent(this.#generation));
    }
    return { envelope, bytes: integerBetween(random, 10, 100_000) };
  }

  /** A signed index in any form, against any other. */
  #offer(envelope: ReturnType<typeof randomEnvelope>, random: SeededRandom): void {
    const desired = pick(this.#indexes, random);
    const base = pick(this.#indexes, random);
    if (desired === undefined) return;
    const form = pick(["full", "diff", "unchanged", "reference"] as const, random) ?? "full";
    const value = offerMessage({ form, desired, base, ranges: undefined, inline: [] }, () => undefined);
    if (random.next() < 0.2) for (const blob of value.blobs) blob.data = random.bytes(5);
    envelope.payload = { case: "indexOffer", value };
  }
}

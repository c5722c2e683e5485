import { create } from "@bufbuild/protobuf";
import { RevocationPushSchema } from "../../src/api/gen/conductor/federation/v1alpha1/commands_pb.ts";
import { DriftUpdateSchema } from "../../src/api/gen/conductor/federation/v1alpha1/facts_pb.ts";
import { Goodbye_Code } from "../../src/api/gen/conductor/federation/v1alpha1/session_pb.ts";
import { SeededRandom, integerBetween } from "../../src/base/random.ts";
import type { DesiredIndex } from "../../src/federation/hub/ports.ts";
import type { HubEffect } from "../../src/federation/session/hub/effects.ts";
import type { HubEvent } from "../../src/federation/session/hub/events.ts";
import { PROTOCOL_VERSIONS } from "../../src/federation/session/limits.ts";
import { HubSession } from "../../src/federation/session/hub/hub-session.ts";
import { START_WALL_MS } from "../transcript/fixture.ts";
import { FROM_AGENT, pick, randomEnvelope } from "./random-message.ts";
import { StreamRules, rule } from "./stream-rules.ts";

/** What a fuzzed step is made from: a kind and a seed for everything else. */
export interface FuzzStep {
  readonly kind: number;
  readonly seed: number;
}

/** A hub session that hears anything in any order, from a peer that is sometimes right. */
export class FuzzedHub {
  readonly #session: HubSession;
  readonly #rules = new StreamRules();
  readonly #indexes: readonly DesiredIndex[];
  #nowMs = 0;
  #generation = 0;
  #seq = 0;
  #sessionId = "";
  #loading = 0;
  readonly #tokens: { readonly type: "fact" | "audit" | "pin"; readonly token: number }[] = [];

  constructor(seed: number, indexes: readonly DesiredIndex[]) {
    this.#indexes = indexes;
    this.#session = new HubSession({ cluster: "tenant-1", random: new SeededRandom(seed), comparedBodyBytes: 400 });
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
    rule(ready.persist.length === 0 && ready.atOnce.length === 0, "the hub has no store of its own");
    for (const effect of ready.afterPersist) this.#effect(effect);
    this.#rules.stepped(this.#session.queuedBytes, this.#session.deadlineMs, this.#nowMs);
    rule(this.#session.waitingFacts <= 2 * 64 + 3, `${this.#session.waitingFacts} facts wait`);
    rule(this.#session.waitingAudits <= 2 * 8, `${this.#session.waitingAudits} audit batches wait`);
    this.#session.view();
  }

  #effect(effect: HubEffect): void {
    if (effect.type === "Send") this.#rules.send(effect.generation, effect.frame);
    if (effect.type === "Destroy") this.#rules.destroyed(effect.generation);
    if (effect.type === "LoadSession") this.#loading = effect.generation;
    if (effect.type === "StoreFact") this.#tokens.push({ type: "fact", token: effect.token });
    if (effect.type === "StoreAudit") this.#tokens.push({ type: "audit", token: effect.token });
    if (effect.type === "PinBlob") this.#tokens.push({ type: "pin", token: effect.token });
  }

  #event(kind: number, random: SeededRandom): HubEvent {
    const chance = (probability: number): boolean => random.next() < probability;
    if (this.#seq === 0 && this.#generation > 0 && chance(0.7))
      return { type: "FrameReceived", generation: this.#generation, ...this.#frame(random) };
    if (this.#generation === 0 && chance(0.7)) return { type: "StreamOpened", generation: ++this.#generation };
    const generation = chance(0.97) ? this.#generation : integerBetween(random, 0, this.#generation + 1);
    if (this.#loading !== 0 && chance(0.9)) return this.#loaded(random);
    if (this.#tokens.length > 0 && chance(0.3)) return this.#answer(random);
    switch (kind % 16) {
      case 0:
        if (this.#session.connected && chance(0.9)) return { type: "Tick" };
        this.#seq = 0;
        this.#sessionId = "";
        return { type: "StreamOpened", generation: ++this.#generation };
      case 1:
        if (chance(0.95)) return { type: "Tick" };
        return { type: "FrameInvalid", generation, tooLarge: chance(0.5), detail: "garbage" };
      case 2:
        return chance(0.1) ? { type: "StreamClosed", generation, reason: "reset" } : { type: "Tick" };
      case 3:
        return { type: "StreamBlocked", generation };
      case 4:
        return { type: "StreamDrained", generation };
      case 5:
        return { type: "DesiredChanged", desired: chance(0.9) ? pick(this.#indexes, random) : undefined };
      case 6: {
        const serials = Array.from({ length: integerBetween(random, 0, 3) }, (_, at) => BigInt(at + 1));
        const pending = serials.map((serial) => create(RevocationPushSchema, { serial, resourceName: "web" }));
        return { type: "RevocationsChanged", pending };
      }
      case 7: {
        const value = create(DriftUpdateSchema, { message: "x".repeat(integerBetween(random, 0, 60_000)) });
        return { type: "Respond", payload: { case: "driftUpdate", value }, key: chance(0.5) ? "" : "key" };
      }
      case 8: {
        const orders = Array.from({ length: integerBetween(random, 0, 300) }, (_, at) => ({
          id: String(integerBetween(random, at, at + 300)),
          kind: "PackInstalled",
          name: `web-${at}`,
          digest: chance(0.5) ? "" : "sha256:other",
          orderedAtMs: 0,
        }));
        return { type: "RetriesChanged", orders };
      }
      case 9:
        if (chance(0.95)) return { type: "Tick" };
        return { type: "Evict", code: Goodbye_Code.SHUTDOWN, message: "m", retryAfterMs: 5, endpoint: "" };
      case 10:
        return { type: "CompareAcquired" };
      default:
        return { type: "FrameReceived", generation, ...this.#frame(random) };
    }
  }

  #frame(random: SeededRandom): Pick<Extract<HubEvent, { type: "FrameReceived" }>, "envelope" | "bytes"> {
    const envelope = randomEnvelope(random, FROM_AGENT);
    const opens = this.#seq === 0 && random.next() < 0.8;
    if (opens) {
      envelope.payload = randomEnvelope(random, ["hello"]).payload;
      const hello = envelope.payload.value;
      if (random.next() < 0.95 && hello !== undefined)
        Object.assign(hello, {
          protocolVersions: PROTOCOL_VERSIONS.slice(0, integerBetween(random, 1, 3)),
          clusterId: "tenant-1",
          highestTerm: 1n,
        });
    }
    const right = random.next() < 0.99;
    const name = envelope.payload.case;
    const numbered = name !== "heartBeat" && name !== "goodbye" && name !== "protocolError" && name !== "acknowledge";
    // Frames that only a hub sends, and ends of the stream, are as wrong as they are frequent among random ones.
    if (right && (name === "goodbye" || name === "protocolError") && random.next() < 0.9)
      envelope.payload = { case: undefined };
    if (right) {
      envelope.sessionId = this.#sessionId;
      envelope.seq = numbered ? BigInt(++this.#seq) : 0n;
      envelope.ack = BigInt(integerBetween(random, 0, 1) * this.#rules.sent(this.#generation));
    }
    return { envelope, bytes: integerBetween(random, 10, 100_000) };
  }

  #loaded(random: SeededRandom): HubEvent {
    const generation = this.#loading;
    this.#loading = 0;
    if (random.next() < 0.1) {
      const code = Goodbye_Code.OVERLOADED;
      return { type: "SessionLoadFailed", generation, code, message: "away", retryAfterMs: 5, endpoint: "" };
    }
    this.#sessionId = `s-${generation}`;
    const audit = { contiguousThrough: 1n, highest: 3n, highestHash: undefined };
    const loaded = {
      sessionId: this.#sessionId,
      term: 2n,
      replica: "hub-0",
      audit,
      storeWentBack: false,
      itemLevels: [],
      endpoints: [],
    };
    return { type: "SessionLoaded", generation, loaded };
  }

  #answer(random: SeededRandom): HubEvent {
    const { type, token } = this.#tokens.shift() ?? { type: "fact", token: 0 };
    switch (type) {
      case "fact": {
        const kind = pick(["stored", "stored", "failed"] as const, random) ?? "stored";
        const refused = { kind: "refused", reason: "R", detail: "d" } as const;
        return { type: "FactStored", token, outcome: random.next() < 0.1 ? refused : { kind } };
      }
      case "audit": {
        const stored = { contiguousThrough: 1n, highest: 3n, rejected: [] };
        return { type: "AuditStored", token, result: random.next() < 0.8 ? stored : undefined };
      }
      case "pin": {
        const size = random.next() < 0.7 ? integerBetween(random, 0, 700_000) : undefined;
        return { type: "BlobPinned", token, size, busy: random.next() < 0.5 };
      }
    }
  }
}

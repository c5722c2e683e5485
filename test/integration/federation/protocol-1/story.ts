import { create } from "@bufbuild/protobuf";
import {
  RevocationPushSchema,
  RunnerConfigValidationRequestSchema,
  RunnerConfigValidationResponseSchema,
} from "../../../../src/api/gen/conductor/federation/v1alpha1/commands_pb.ts";
import { decodeEnvelope } from "../../../../src/federation/wire/decode-envelope.ts";
import { encodeFrame } from "../../../../src/federation/session/encode-frame.ts";
import type { Fact, HubEffect } from "../../../../src/federation/session/hub/effects.ts";
import type { HubEvent } from "../../../../src/federation/session/hub/events.ts";
import { HubSession } from "../../../../src/federation/session/hub/hub-session.ts";
import { PROTOCOL_VERSIONS } from "../../../../src/federation/session/limits.ts";
import type { SpokeEffect } from "../../../../src/federation/session/spoke/effects.ts";
import type { SpokeEvent } from "../../../../src/federation/session/spoke/events.ts";
import { SpokeSession } from "../../../../src/federation/session/spoke/spoke-session.ts";
import { AgentStore } from "../../../simulation/agent-store.ts";
import { Bodies, START_WALL_MS, indexOf, middle, ring } from "../../../transcript/fixture.ts";

/** What happens in the story besides frames, in this order. The frames of each step are exchanged until both sides are quiet. */
export const STEPS = ["open", "change", "fact", "audit", "ask", "beat", "leave"] as const;

/** One of {@link STEPS}. */
export type Step = (typeof STEPS)[number];

/** One side of a recorded stream. */
export type Side = "agent" | "hub";

/** One machine with a shell that answers every effect at once. */
export interface End {
  /** The step's own event on this side. */
  act(step: Step): void;
  receive(bytes: Uint8Array): void;
  /** Time passes to `nowMs`. */
  wait(nowMs: number): void;
  /** Encoded frames sent since the last call. */
  takeSent(): Uint8Array[];
  /** Streams that this side destroyed, with the reason. */
  readonly destroyed: readonly string[];
}

const bodies = new Bodies();
/** Too large for one chunk, so that it is fetched in two. */
const LARGE = "large*300000";
const index = (sequence: number, items: string) => {
  const args = new Map(Object.entries({ sequence: String(sequence), items }));
  return indexOf({ name: "index", args, words: [], json: "" }, bodies, START_WALL_MS);
};
const FIRST = index(1, `web@1:small,db@1:${LARGE}`);
const SECOND = index(2, `-db@2,web@1:small`);
const PUSH = create(RevocationPushSchema, {
  target: "PackInstalled",
  resourceName: "old",
  revocationId: "r-1",
  serial: 1n,
  minSerial: 3n,
});

/** Events of a machine one after the other, its frames, and its clock. */
abstract class MachineEnd<E> implements End {
  readonly destroyed: string[] = [];
  protected abstract readonly machine: { readonly deadlineMs: number };
  protected readonly sent: Uint8Array[] = [];
  protected nowMs = 0;
  readonly #events: (E | CommonEvent)[] = [];
  #stepping = false;

  abstract act(step: Step): void;

  /** One step of the machine, with all its effects. */
  protected abstract run(event: E | CommonEvent): void;

  receive(bytes: Uint8Array): void {
    const decoded = decodeEnvelope(bytes);
    if (!decoded.ok) throw new Error(decoded.detail);
    this.step({ type: "FrameReceived", generation: 1, envelope: decoded.envelope, bytes: bytes.length });
  }

  wait(nowMs: number): void {
    while (this.machine.deadlineMs <= nowMs) {
      this.nowMs = this.machine.deadlineMs;
      this.step({ type: "Tick" });
    }
    this.nowMs = nowMs;
  }

  takeSent(): Uint8Array[] {
    return this.sent.splice(0);
  }

  /** An effect may bring the next event: it waits until this one is done. */
  protected step(event: E | CommonEvent): void {
    this.#events.push(event);
    if (this.#stepping) return;
    this.#stepping = true;
    for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) this.run(next);
    this.#stepping = false;
  }
}

/** Events that both machines know. */
type CommonEvent = Extract<HubEvent & SpokeEvent, { readonly type: "FrameReceived" | "Tick" }>;

/** The hub's side. What it stored is what a test compares. */
export class HubEnd extends MachineEnd<HubEvent> {
  readonly facts: Fact[] = [];
  readonly audit: bigint[] = [];
  protected readonly machine: HubSession;

  /** @param protocolVersions what it speaks, when it is a hub of an earlier build */
  constructor(protocolVersions: readonly number[] = PROTOCOL_VERSIONS) {
    super();
    this.machine = new HubSession({ cluster: "tenant-1", random: middle, protocolVersions });
    this.step({ type: "DesiredChanged", desired: FIRST });
    this.step({ type: "RevocationsChanged", pending: [PUSH] });
  }

  /** Digest of the index the agent holds, as this side knows. */
  get held(): string | undefined {
    return this.machine.view().held?.digest;
  }

  act(step: Step): void {
    if (step === "open") this.step({ type: "StreamOpened", generation: 1 });
    if (step === "change") this.step({ type: "DesiredChanged", desired: SECOND });
  }

  protected run(event: HubEvent): void {
    const { afterPersist } = this.machine.step(event, this.nowMs, START_WALL_MS + this.nowMs);
    for (const effect of afterPersist) this.#perform(effect);
  }

  #perform(effect: HubEffect): void {
    switch (effect.type) {
      case "Send":
        this.sent.push(encodeFrame(effect.frame, { pinned: held, inline: (digest) => bodies.get(digest) }));
        return;
      case "Destroy":
        this.destroyed.push(`${effect.code}: ${effect.detail}`);
        return;
      case "LoadSession":
        this.step({
          type: "SessionLoaded",
          generation: 1,
          loaded: {
            sessionId: "session-1",
            term: 1n,
            replica: "hub-0",
            audit: { contiguousThrough: 0n, highest: 0n, highestHash: undefined },
            storeWentBack: false,
            itemLevels: [],
            endpoints: [],
          },
        });
        return;
      case "PinBlob": {
        const { token, digest } = effect;
        this.step({ type: "BlobPinned", token, size: bodies.get(digest)?.length, busy: false });
        return;
      }
      case "StoreFact":
        this.facts.push(effect.fact);
        this.step({ type: "FactStored", token: effect.token, outcome: { kind: "stored" } });
        return;
      case "StoreAudit": {
        for (const { sequence } of effect.batch.events) this.audit.push(sequence);
        const last = this.audit.at(-1) ?? 0n;
        const result = { contiguousThrough: last, highest: last, rejected: [] };
        this.step({ type: "AuditStored", token: effect.token, result });
        return;
      }
      case "HandleRequest": {
        const { requestId } = effect.request.value;
        const value = create(RunnerConfigValidationResponseSchema, { requestId, approved: true });
        this.step({ type: "Respond", key: requestId, payload: { case: "runnerConfigValidationResponse", value } });
        return;
      }
      default:
    }
  }
}

/** The agent's side. What its store holds and what was answered is what a test compares. */
export class AgentEnd extends MachineEnd<SpokeEvent> {
  readonly store: AgentStore = new AgentStore("tenant-1");
  readonly revoked: bigint[] = [];
  readonly answers: string[] = [];
  protected readonly machine: SpokeSession;

  /** @param protocolVersions what it speaks, when it is an agent of an earlier build */
  constructor(protocolVersions: readonly number[] = PROTOCOL_VERSIONS) {
    super();
    this.machine = new SpokeSession({
      cluster: "tenant-1",
      agentVersion: "v1",
      instanceId: "instance",
      keys: ring,
      trustedKeyIds: [],
      random: middle,
      record: this.store.record(),
      readBackMs: START_WALL_MS,
      protocolVersions,
    });
  }

  act(step: Step): void {
    switch (step) {
      case "open":
        this.step({ type: "Start" });
        this.step({ type: "StreamOpened", generation: 1 });
        return;
      case "fact": {
        const { key, version } = this.store.putFact("web");
        this.step({ type: "FactPending", fact: { key, kind: "packReceiptReport", reportVersion: version } });
        return;
      }
      case "audit": {
        const last = this.store.appendAudit(3, "event");
        this.step({ type: "AuditAppended", epoch: this.store.auditEpoch, last, backlogBytes: 0n });
        return;
      }
      case "ask": {
        const value = create(RunnerConfigValidationRequestSchema, { requestId: "q-1", runnerConfigName: "tenant-1" });
        this.step({
          type: "Request",
          request: { case: "runnerConfigValidationRequest", value },
          deadlineMs: this.nowMs + 5_000,
        });
        return;
      }
      case "leave":
        this.step({ type: "Stop", reason: "the agent stops" });
        return;
      default:
    }
  }

  protected run(event: SpokeEvent): void {
    const ready = this.machine.step(event, this.nowMs, START_WALL_MS + this.nowMs);
    for (const effect of ready.atOnce) this.#perform(effect);
    this.store.commit(ready.persist);
    for (const effect of ready.afterPersist) this.#perform(effect);
  }

  #perform(effect: SpokeEffect): void {
    switch (effect.type) {
      case "Send":
        this.sent.push(encodeFrame(effect.frame, { pinned: held, inline: () => undefined }));
        return;
      case "Destroy":
        this.destroyed.push(`${effect.code}: ${effect.detail}`);
        return;
      case "RunHandler":
        this.step({ type: "HandlerDone", token: effect.token, nack: undefined });
        return;
      case "CheckBlob":
        this.step({ type: "BlobChecked", digest: effect.digest, ok: true });
        return;
      case "LoadFacts":
        this.step({ type: "FactsLoaded", token: effect.token, facts: this.store.loadFacts(effect.keys) });
        return;
      case "LoadAudit": {
        const { batch, bytes } = this.store.loadAudit(effect.from, effect.maxEvents, effect.maxBytes);
        this.step({ type: "AuditLoaded", token: effect.token, batch, bytes });
        return;
      }
      case "Revoke":
        this.revoked.push(effect.push.serial);
        this.step({ type: "RevokeDone", serial: effect.push.serial, applied: true, detail: "" });
        return;
      case "Response":
        this.answers.push(effect.response.value.requestId);
        return;
      default:
    }
  }
}

/** One frame of a recorded stream. */
export interface RecordedFrame {
  readonly step: Step;
  readonly from: Side;
  readonly bytes: Uint8Array;
}

/** Time that each step of the story takes, milliseconds. */
const STEP_MS: Readonly<Record<Step, number>> = {
  open: 200,
  change: 200,
  fact: 200,
  audit: 200,
  ask: 200,
  beat: 31_000,
  leave: 200,
};
/** Time between two looks at what was sent, milliseconds. */
const LOOK_MS = 5;

/** Plays the story between two ends, and returns every frame. */
export function playStory(hub: End, agent: End): readonly RecordedFrame[] {
  const frames: RecordedFrame[] = [];
  let nowMs = 0;
  for (const step of STEPS) {
    const exchange = (): void => {
      for (let moved = true; moved;) {
        const [up, down] = [agent.takeSent(), hub.takeSent()];
        moved = up.length + down.length > 0;
        for (const bytes of up) frames.push({ step, from: "agent", bytes });
        for (const bytes of down) frames.push({ step, from: "hub", bytes });
        for (const bytes of up) hub.receive(bytes);
        for (const bytes of down) agent.receive(bytes);
      }
    };
    hub.act(step);
    agent.act(step);
    exchange();
    for (const endMs = nowMs + STEP_MS[step]; nowMs < endMs;) {
      nowMs += LOOK_MS;
      hub.wait(nowMs);
      agent.wait(nowMs);
      exchange();
    }
  }
  return frames;
}

/** The other side of a stream as it was recorded: says the same whatever it hears, and notes what it hears. */
export class RecordedEnd implements End {
  readonly heard: Uint8Array[] = [];
  readonly destroyed: readonly string[] = [];
  readonly #frames: readonly RecordedFrame[];
  readonly #side: Side;
  #at = 0;
  #heardInStep = 0;
  #step: Step = "open";

  constructor(frames: readonly RecordedFrame[], side: Side) {
    this.#frames = frames;
    this.#side = side;
  }

  act(step: Step): void {
    this.#step = step;
    this.#heardInStep = 0;
  }

  receive(bytes: Uint8Array): void {
    this.heard.push(bytes);
    this.#heardInStep++;
  }

  wait(): void {}

  /** Speaks until the point at which it had heard more than it has now. */
  takeSent(): Uint8Array[] {
    const said: Uint8Array[] = [];
    let expected = 0;
    for (let at = 0; at < this.#frames.length; at++) {
      const frame = this.#frames[at];
      if (frame === undefined || frame.step !== this.#step) continue;
      if (frame.from !== this.#side) expected++;
      else if (at >= this.#at && expected <= this.#heardInStep) {
        said.push(frame.bytes);
        this.#at = at + 1;
      } else if (at >= this.#at) return said;
    }
    return said;
  }
}

/** A recording as one file: per frame its step, its side, its length (big endian) and its bytes. */
export function encodeRecording(frames: readonly RecordedFrame[]): Uint8Array {
  return Buffer.concat(
    frames.map(({ step, from, bytes }) => {
      const head = Buffer.alloc(6);
      head.writeUInt8(STEPS.indexOf(step), 0);
      head.writeUInt8(from === "agent" ? 0 : 1, 1);
      head.writeUInt32BE(bytes.length, 2);
      return Buffer.concat([head, bytes]);
    }),
  );
}

/** Reads what {@link encodeRecording} wrote. */
export function decodeRecording(file: Buffer): readonly RecordedFrame[] {
  const frames: RecordedFrame[] = [];
  for (let at = 0; at < file.length;) {
    const step = STEPS[file.readUInt8(at)];
    if (step === undefined) throw new Error(`no such step at ${at}`);
    const from = file.readUInt8(at + 1) === 0 ? "agent" : "hub";
    const end = at + 6 + file.readUInt32BE(at + 2);
    frames.push({ step, from, bytes: file.subarray(at + 6, end) });
    at = end;
  }
  return frames;
}

function held(digest: string): Uint8Array {
  const body = bodies.get(digest);
  if (body === undefined) throw new Error(`no body ${digest}`);
  return body;
}

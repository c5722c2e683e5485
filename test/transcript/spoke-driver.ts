import { create, fromJsonString } from "@bufbuild/protobuf";
import { RunnerConfigValidationRequestSchema } from "../../src/api/gen/conductor/federation/v1alpha1/commands_pb.ts";
import {
  type BlobChunk,
  BlobChunkSchema,
  Nack_Class,
} from "../../src/api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import { type Envelope, EnvelopeSchema } from "../../src/api/gen/conductor/federation/v1alpha1/federation_pb.ts";
import { type Digest, digestOf } from "../../src/base/digest.ts";
import type { DesiredIndex } from "../../src/federation/hub/ports.ts";
import { RangeDigests } from "../../src/federation/index/range-digest.ts";
import { offerMessage } from "../../src/federation/session/encode-frame.ts";
import type { OfferPlan } from "../../src/federation/session/hub/offer.ts";
import type { SpokeEffect } from "../../src/federation/session/spoke/effects.ts";
import type { SpokeEvent } from "../../src/federation/session/spoke/events.ts";
import type { SpokeWrite } from "../../src/federation/session/spoke/record.ts";
import { SpokeSession } from "../../src/federation/session/spoke/spoke-session.ts";
import type { ItemNack } from "../../src/federation/spoke/ports.ts";
import { AgentStore } from "../simulation/agent-store.ts";
import { auditHashOf } from "../simulation/hub-store.ts";
import { Bodies, START_WALL_MS, indexOf, middle, ring } from "./fixture.ts";
import { printFields, printFrame, shorten } from "./print.ts";
import { type Command, type Driver, bigArg, numberArg } from "./script.ts";

/** Drives one spoke session over a store that survives `crash`. */
export class SpokeDriver implements Driver {
  readonly #store = new AgentStore("tenant-1");
  readonly #bodies = new Bodies();
  /** Indexes offered so far by sequence, as bases of diffs. */
  readonly #indexes: Map<number, DesiredIndex> = new Map();
  #version = "v1";
  #session = this.#boot();
  #nowMs = 0;
  #seq = 0;
  #ack = 0;
  #term = 1n;
  #generation = 1;

  run(command: Command): readonly string[] {
    switch (command.name) {
      case "wait":
        return this.#wait(numberArg(command, "ms", 0));
      case "stopped":
        // SIGSTOP: time passes, and nobody looks at the clock.
        this.#nowMs += numberArg(command, "ms", 0);
        return this.#step({ type: "Tick" });
      case "crash":
        this.#version = command.args.get("version") ?? this.#version;
        this.#session = this.#boot();
        return ["a new process reads the store back", ...this.#step({ type: "Start" })];
      case "jump":
        this.#wallSkewMs += numberArg(command, "ms", 0);
        return [`the wall clock is off by ${this.#wallSkewMs} ms`];
      case "opened":
        this.#generation = numberArg(command, "generation", this.#generation);
        this.#seq = 0;
        this.#ack = 0;
        return this.#step({ type: "StreamOpened", generation: this.#generation });
      case "put-fact": {
        const { key, version } = this.#store.putFact(command.args.get("name") ?? "");
        return this.#step({ type: "FactPending", fact: { key, kind: "packReceiptReport", reportVersion: version } });
      }
      case "append-audit": {
        const last = this.#store.appendAudit(numberArg(command, "count", 1), "event");
        return this.#step({ type: "AuditAppended", epoch: this.#store.auditEpoch, last, backlogBytes: 0n });
      }
      default:
        return this.#step(this.#event(command));
    }
  }

  #wallSkewMs = 0;

  #boot(): SpokeSession {
    return new SpokeSession({
      cluster: "tenant-1",
      agentVersion: this.#version,
      instanceId: "instance",
      keys: ring,
      trustedKeyIds: [],
      random: middle,
      record: this.#store.record(),
      readBackMs: START_WALL_MS,
    });
  }

  #event(command: Command): SpokeEvent {
    const generation = numberArg(command, "generation", this.#generation);
    const token = numberArg(command, "token", 0);
    switch (command.name) {
      case "start":
        return { type: "Start" };
      case "stop":
        return { type: "Stop", reason: "the agent stops" };
      case "dial-failed":
        return { type: "DialFailed", generation, reason: "connection refused", answered: command.args.has("answered") };
      case "closed":
        return { type: "StreamClosed", generation, reason: "connection reset" };
      case "blocked":
        return { type: "StreamBlocked", generation };
      case "drained":
        return { type: "StreamDrained", generation };
      case "garbage":
        return {
          type: "FrameInvalid",
          generation,
          tooLarge: command.words.includes("too-large"),
          detail: "frame cannot be parsed",
        };
      case "welcome":
      case "frame":
      case "offer":
      case "chunk":
        return { type: "FrameReceived", generation, envelope: this.#envelope(command), bytes: 100 };
      case "handler":
        return { type: "HandlerDone", token, nack: nackOf(command) };
      case "waiting":
        return { type: "HandlerWaiting", token, text: command.words.join(" ") };
      case "checked": {
        const digest = this.#bodies.put(command.args.get("body") ?? "").digest;
        return { type: "BlobChecked", digest, ok: !command.words.includes("wrong") };
      }
      case "facts-loaded": {
        const keys = (command.args.get("names") ?? "").split(",").map((name) => `packReceiptReport/${name}`);
        return { type: "FactsLoaded", token, facts: this.#store.loadFacts(keys) };
      }
      case "audit-loaded": {
        const { batch, bytes } = this.#store.loadAudit(bigArg(command, "from", 1n), 100, 256 * 1024);
        return { type: "AuditLoaded", token, batch, bytes };
      }
      case "revoke-done":
        return {
          type: "RevokeDone",
          serial: bigArg(command, "serial", 0n),
          applied: !command.words.includes("failed"),
          detail: "",
        };
      case "floors":
        return { type: "FloorsEnforced", token, ok: !command.words.includes("failed") };
      case "ask": {
        const requestId = command.args.get("id") ?? "";
        const value = create(RunnerConfigValidationRequestSchema, { requestId, runnerConfigName: "rc" });
        return { type: "Request", request: { case: "runnerConfigValidationRequest", value }, deadlineMs: 10_000 };
      }
      case "tick":
        return { type: "Tick" };
      default:
        throw new Error(`no such command: ${command.name}`);
    }
  }

  #envelope(command: Command): Envelope {
    const json = command.json === "" ? "{}" : this.#digests(command.json);
    const envelope = fromJsonString(EnvelopeSchema, json, { ignoreUnknownFields: true });
    if (command.name === "welcome" && envelope.payload.case === undefined) {
      const resend = command.words.includes("resend");
      const resume = `"auditResumeSequence":"${command.args.get("resume") ?? "0"}"`;
      const highest = command.args.get("highest");
      // `hash=other`: the hub has another event under its highest number; otherwise it has this log's.
      const text =
        command.args.get("hash") === "other" ? "other" : (this.#store.auditEvents.get(BigInt(highest ?? 0)) ?? "");
      const hash = Buffer.from(auditHashOf(text)).toString("base64");
      const stored = highest === undefined ? "" : `,"auditHighestSequence":"${highest}","auditHighestHash":"${hash}"`;
      const version = command.args.get("version") ?? "1";
      const welcome = `"sessionId":"s","protocolVersion":${version},"replica":"hub-0",${resume}${stored},"resendItemReports":${resend}`;
      return this.#envelope({ ...command, name: "frame", json: `{"sessionId":"s","welcome":{${welcome}}}` });
    }
    if (command.name === "offer") envelope.payload = { case: "indexOffer", value: this.#offer(command) };
    if (command.name === "chunk") envelope.payload = { case: "blobChunk", value: this.#chunk(command) };
    const unnumbered = ["heartBeat", "goodbye", "protocolError", "acknowledge"].includes(envelope.payload.case ?? "");
    if (!unnumbered && envelope.seq === 0n) envelope.seq = BigInt(++this.#seq);
    this.#ack = numberArg(command, "ack", this.#ack);
    this.#term = bigArg(command, "term", this.#term);
    if (envelope.ack === 0n) envelope.ack = BigInt(this.#ack);
    if (envelope.sessionId === "") envelope.sessionId = "s";
    envelope.term = this.#term;
    return envelope;
  }

  /** `"body:text"` and `"index:3"` in JSON stand for their digests. */
  #digests(json: string): string {
    return json
      .replaceAll(/"body:([^"]*)"/g, (_, text: string) => JSON.stringify(this.#bodies.put(text).digest))
      .replaceAll(/"index:(\d+)"/g, (_, at: string) => JSON.stringify(this.#indexes.get(Number(at))?.digest ?? ""));
  }

  /** `offer form=diff base=1 sequence=2 items=… [inline=body,body]`; `of=3` offers an earlier index again. */
  #offer(command: Command): ReturnType<typeof offerMessage> {
    const again = command.args.get("of");
    const desired =
      (again === undefined ? undefined : this.#indexes.get(Number(again))) ??
      indexOf(command, this.#bodies, START_WALL_MS + this.#nowMs);
    this.#indexes.set(desired.document.sequence, desired);
    const inline = (command.args.get("inline") ?? "").split(",").filter((text) => text !== "");
    const plan: OfferPlan = {
      form: formOf(command.args.get("form") ?? "full"),
      desired,
      base: this.#indexes.get(numberArg(command, "base", 0)),
      ranges: this.#ranges(command, desired),
      inline: inline.map((text) => this.#bodies.put(text).digest),
    };
    const offer = offerMessage(plan, (digest) => this.#bodies.get(digest));
    const altered = command.words.includes("altered-inline");
    for (const blob of offer.blobs) if (altered) blob.data = Buffer.from(blob.data).fill("x");
    return offer;
  }

  /** `base=1 paths=12,7.200`: what index 1 has in those ranges is replaced. */
  #ranges(command: Command, desired: DesiredIndex): OfferPlan["ranges"] {
    const paths = command.args.get("paths");
    const base = this.#indexes.get(numberArg(command, "base", 0));
    if (paths === undefined || base === undefined) return undefined;
    return {
      baseDigest: base.digest,
      paths: paths.split(",").map((path) => Uint8Array.from(path.split(".").map(Number))),
      digests: new RangeDigests(desired.document),
    };
  }

  /** `chunk body=text*N offset=0 length=262144 [altered]`, or `chunk index=3` for an index by reference. */
  #chunk(command: Command): BlobChunk {
    const index = this.#indexes.get(numberArg(command, "index", 0));
    const digest: Digest =
      index === undefined ? this.#bodies.put(command.args.get("body") ?? "").digest : `sha256:${index.digest.slice(7)}`;
    const whole = Buffer.from(index?.envelope.body ?? this.#bodies.get(digest) ?? new Uint8Array());
    if (command.words.includes("altered")) whole.fill("x");
    const offset = numberArg(command, "offset", 0);
    const length = numberArg(command, "length", whole.length - offset);
    const data = whole.subarray(offset, offset + length);
    return create(BlobChunkSchema, {
      digest,
      offset: BigInt(offset),
      total: BigInt(numberArg(command, "total", whole.length)),
      data,
    });
  }

  #wait(ms: number): readonly string[] {
    const endMs = this.#nowMs + ms;
    const lines: string[] = [];
    while (this.#session.deadlineMs <= endMs) {
      this.#nowMs = Math.max(this.#nowMs, this.#session.deadlineMs);
      for (const line of this.#step({ type: "Tick" })) lines.push(`${this.#nowMs} ms: ${line}`);
    }
    this.#nowMs = endMs;
    return lines;
  }

  #step(event: SpokeEvent): readonly string[] {
    const ready = this.#session.step(event, this.#nowMs, START_WALL_MS + this.#nowMs + this.#wallSkewMs);
    this.#store.commit(ready.persist);
    return [
      ...ready.atOnce.map((effect) => `at once: ${printEffect(effect)}`),
      ...ready.persist.map(printWrite),
      ...ready.afterPersist.map(printEffect),
    ];
  }
}

function printWrite(write: SpokeWrite): string {
  switch (write.type) {
    case "PutIndex":
      return shorten(`persist PutIndex ${digestOf(write.index.body)}`);
    case "PutItem": {
      const { item, level, nack, attempts, quarantinedBy, lastGood } = write.record;
      const refused = nack === undefined ? "" : ` ${nack.reason} attempts ${attempts}`;
      const quarantined = quarantinedBy === "" ? "" : ` quarantined by ${quarantinedBy}`;
      const good = lastGood === undefined ? "" : ` last good @${lastGood.version}`;
      return `persist PutItem ${item.kind}/${item.name}@${item.version} ${level}${refused}${quarantined}${good}`;
    }
    case "AppendBlob": {
      const { digest, offset, data, total, checked } = write;
      return shorten(`persist AppendBlob ${digest} ${offset}+${data.length} of ${total}${checked ? " checked" : ""}`);
    }
    default:
      return printFields("persist ", write);
  }
}

function printEffect(effect: SpokeEffect): string {
  switch (effect.type) {
    case "Send":
      return printFrame(effect.frame);
    case "RunHandler":
      return `RunHandler token=${effect.token} ${effect.phase} ${effect.item.kind}/${effect.item.name}@${effect.item.version}`;
    case "Revoke":
      return `Revoke serial=${effect.push.serial}`;
    case "EnforceFloors": {
      const floors = effect.floors.map(({ target, name, floor }) => `${target}/${name}>=${floor}`);
      return `EnforceFloors token=${effect.token} ${floors.join(" ")}`;
    }
    case "Response":
      return `Response ${effect.response.case} ${effect.response.value.requestId}`;
    default:
      return printFields("", effect);
  }
}

function nackOf(command: Command): ItemNack | undefined {
  const reason = command.args.get("nack");
  if (reason === undefined) return undefined;
  const retryable = command.words.includes("retryable");
  return { class: retryable ? Nack_Class.BUSY : Nack_Class.INVALID, retryable, reason, detail: "said the handler" };
}

function formOf(text: string): OfferPlan["form"] {
  const forms: readonly OfferPlan["form"][] = ["full", "diff", "ranges", "unchanged", "reference"];
  const form = forms.find((known) => known === text);
  if (form !== undefined) return form;
  throw new Error(`no such form: ${text}`);
}

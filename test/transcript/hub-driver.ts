import { create, fromJsonString } from "@bufbuild/protobuf";
import { RevocationPushSchema } from "../../src/api/gen/conductor/federation/v1alpha1/commands_pb.ts";
import {
  IndexReportSchema,
  IndexReport_Outcome,
  type ItemReport,
  ItemReportSchema,
  ItemReportsSchema,
  Nack_Class,
  RangeDigestReplySchema,
} from "../../src/api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import { DriftUpdateSchema } from "../../src/api/gen/conductor/federation/v1alpha1/facts_pb.ts";
import { type Envelope, EnvelopeSchema } from "../../src/api/gen/conductor/federation/v1alpha1/federation_pb.ts";
import { Goodbye_Code } from "../../src/api/gen/conductor/federation/v1alpha1/session_pb.ts";
import type { DesiredIndex } from "../../src/federation/hub/ports.ts";
import type { Fact, HubEffect } from "../../src/federation/session/hub/effects.ts";
import type { HubEvent, StoreOutcome } from "../../src/federation/session/hub/events.ts";
import { RangeDigests } from "../../src/federation/index/range-digest.ts";
import { inventoryDigest } from "../../src/federation/index/inventory-digest.ts";
import { HubSession } from "../../src/federation/session/hub/hub-session.ts";
import type { RetryOrder } from "../../src/federation/session/hub/retry-order.ts";
import { nack } from "../../src/federation/session/message.ts";
import { Bodies, START_WALL_MS, indexOf, middle } from "./fixture.ts";
import { printFields, printFrame, shorten } from "./print.ts";
import { type Command, type Driver, bigArg, numberArg } from "./script.ts";

/** Drives one hub session. Every transcript starts with a fresh one; `hub` starts another. */
export class HubDriver implements Driver {
  #session = this.#fresh(2_000_000);
  readonly #bodies = new Bodies();
  #nowMs = 0;
  #seq = 0;
  #ack = 0;
  #generation = 1;
  #sessionId = "";
  #desired: DesiredIndex | undefined = undefined;
  #orders: readonly RetryOrder[] = [];
  #retries = 0;

  run(command: Command): readonly string[] {
    switch (command.name) {
      case "hub":
        this.#session = this.#fresh(numberArg(command, "offerBodyBytes", 2_000_000));
        return ["a hub without any stream"];
      case "wait":
        return this.#wait(numberArg(command, "ms", 0));
      case "stopped":
        // SIGSTOP: time passes, and nobody looks at the clock.
        this.#nowMs += numberArg(command, "ms", 0);
        return this.#step({ type: "Tick" });
      case "view":
        return [shorten(JSON.stringify(this.#view()))];
      case "open":
        this.#generation = numberArg(command, "generation", this.#generation);
        this.#seq = 0;
        this.#ack = 0;
        this.#sessionId = "";
        return this.#step({ type: "StreamOpened", generation: this.#generation });
      default:
        return this.#step(this.#event(command));
    }
  }

  #fresh(offerBodyBytes: number): HubSession {
    return new HubSession({ cluster: "tenant-1", random: middle, offerBodyBytes });
  }

  #event(command: Command): HubEvent {
    const generation = numberArg(command, "generation", this.#generation);
    const token = numberArg(command, "token", 0);
    switch (command.name) {
      case "hello":
      case "frame":
        return { type: "FrameReceived", generation, envelope: this.#envelope(command), bytes: 100 };
      case "garbage":
        return {
          type: "FrameInvalid",
          generation,
          tooLarge: command.words.includes("too-large"),
          detail: "frame cannot be parsed",
        };
      case "closed":
        return { type: "StreamClosed", generation, reason: "connection reset" };
      case "blocked":
        return { type: "StreamBlocked", generation };
      case "drained":
        return { type: "StreamDrained", generation };
      case "loaded": {
        this.#sessionId = `session-${generation}`;
        const contiguousThrough = bigArg(command, "stored", 0n);
        return {
          type: "SessionLoaded",
          generation,
          loaded: {
            sessionId: this.#sessionId,
            term: bigArg(command, "term", 1n),
            replica: "hub-0",
            audit: {
              contiguousThrough,
              highest: bigArg(command, "highest", contiguousThrough),
              highestHash: undefined,
            },
            storeWentBack: false,
            itemLevels: levelsOf(command.json),
            endpoints: [],
          },
        };
      }
      case "load-failed": {
        const code = Goodbye_Code.OVERLOADED;
        return {
          type: "SessionLoadFailed",
          generation,
          code,
          message: "the store is away",
          retryAfterMs: 500,
          endpoint: "",
        };
      }
      case "desired":
        this.#desired = indexOf(command, this.#bodies, START_WALL_MS + this.#nowMs);
        return { type: "DesiredChanged", desired: this.#desired };
      case "report":
        return { type: "FrameReceived", generation, envelope: this.#report(command), bytes: 100 };
      case "compare":
        return { type: "CompareAcquired" };
      case "digests":
        return { type: "FrameReceived", generation, envelope: this.#digests(command), bytes: 100 };
      case "revocations": {
        const serials = (command.args.get("serials") ?? "").split(",").filter((text) => text !== "");
        const minSerial = bigArg(command, "floor", 0n);
        const target = minSerial === 0n ? "" : "PackInstalled";
        const pending = serials.map((text) =>
          create(RevocationPushSchema, { target, serial: BigInt(text), resourceName: "web", minSerial }),
        );
        return { type: "RevocationsChanged", pending };
      }
      case "pinned": {
        const size = command.args.get("size");
        const busy = command.words.includes("busy");
        return { type: "BlobPinned", token, size: size === undefined ? undefined : Number(size), busy };
      }
      case "stored":
        return { type: "FactStored", token, outcome: outcomeOf(command) };
      case "audit-stored": {
        if (command.words.includes("failed")) return { type: "AuditStored", token, result: undefined };
        const contiguousThrough = bigArg(command, "through", 0n);
        const highest = bigArg(command, "highest", contiguousThrough);
        return { type: "AuditStored", token, result: { contiguousThrough, highest, rejected: [] } };
      }
      case "drift-update": {
        const signalName = command.args.get("signal") ?? "";
        const value = create(DriftUpdateSchema, { signalName, state: command.args.get("state") ?? "" });
        return { type: "Respond", payload: { case: "driftUpdate", value }, key: `drift/${signalName}` };
      }
      // `retry name=web body=TEXT`: an order about the content with that text.
      case "retry": {
        const name = command.args.get("name") ?? "";
        const { digest } = this.#bodies.put(command.args.get("body") ?? "");
        const orderedAtMs = START_WALL_MS + this.#nowMs;
        const id = String(++this.#retries);
        this.#orders = [...this.#orders, { id, kind: "PackInstalled", name, digest, orderedAtMs }];
        return { type: "RetriesChanged", orders: this.#orders };
      }
      case "retry-settled":
        this.#orders = this.#orders.filter(({ id }) => id !== command.args.get("id"));
        return { type: "RetriesChanged", orders: this.#orders };
      case "evict":
        return {
          type: "Evict",
          code: Goodbye_Code.SHUTDOWN,
          message: "lame duck",
          retryAfterMs: 750,
          endpoint: "hub-1:9443",
        };
      case "tick":
        return { type: "Tick" };
      default:
        throw new Error(`no such command: ${command.name}`);
    }
  }

  /**
   * `report accepted`, `report need-full`, `report refused nack=CODE [retryable]`: the agent's answer to the newest offer. With ItemReports
   * as JSON at the end they leave in one frame.
   */
  #report(command: Command): Envelope {
    const outcome = command.words[0] ?? "accepted";
    const value = create(IndexReportSchema, { digest: this.#desired?.digest ?? "" });
    if (outcome === "accepted") value.outcome = IndexReport_Outcome.ACCEPTED;
    if (outcome === "need-full") value.outcome = IndexReport_Outcome.NEED_FULL;
    if (outcome === "refused") {
      value.outcome = IndexReport_Outcome.REFUSED;
      const reason = command.args.get("nack") ?? "SIGNATURE_INVALID";
      value.nack = nack(Nack_Class.UNTRUSTED, command.words.includes("retryable"), reason, "");
    }
    const envelope = this.#envelope({ ...command, name: "frame", json: '{"acknowledge":{}}' });
    envelope.payload = { case: "indexReport", value };
    if (command.json !== "") {
      const reports = fromJsonString(ItemReportsSchema, command.json);
      envelope.payload = { case: "itemReports", value: Object.assign(reports, { index: value }) };
    }
    envelope.seq = BigInt(++this.#seq);
    return envelope;
  }

  /** `digests items=… sequence=… paths=.,7 [of=another]`: range digests of the index that the agent holds. */
  #digests(command: Command): Envelope {
    const held = indexOf(command, this.#bodies, START_WALL_MS + this.#nowMs);
    const ranges = new RangeDigests(held.document);
    const paths = (command.args.get("paths") ?? ".").split(",");
    const value = create(RangeDigestReplySchema, {
      indexDigest: command.args.get("of") ?? "sha256:another",
      digests: paths.map((path) => ranges.digests(path === "." ? Uint8Array.of() : Uint8Array.of(Number(path)))),
    });
    const envelope = this.#envelope({ ...command, name: "frame", json: '{"acknowledge":{}}' });
    envelope.payload = { case: "rangeDigestReply", value };
    envelope.seq = BigInt(++this.#seq);
    return envelope;
  }

  /** A frame from protobuf JSON; number, acknowledgement and session id are filled in unless given. */
  #envelope(command: Command): Envelope {
    const envelope = fromJsonString(EnvelopeSchema, command.json === "" ? "{}" : command.json, {
      ignoreUnknownFields: true,
    });
    if (command.name === "hello" && envelope.payload.case === undefined)
      return this.#envelope({ ...command, name: "frame", json: this.#hello(command) });
    const unnumbered = ["heartBeat", "goodbye", "protocolError", "acknowledge"].includes(envelope.payload.case ?? "");
    if (!unnumbered && envelope.seq === 0n) envelope.seq = BigInt(++this.#seq);
    this.#ack = numberArg(command, "ack", this.#ack);
    if (envelope.ack === 0n) envelope.ack = BigInt(this.#ack);
    if (envelope.sessionId === "") envelope.sessionId = this.#sessionId;
    return envelope;
  }

  /** `hello [held=newest|SEQUENCE] [revocation=N] [term=N] [version=v2] [protocol=1,2,3] [inventory=same]` */
  #hello(command: Command): string {
    const held = command.args.get("held");
    const newest = this.#desired;
    const heldIndex =
      held === undefined
        ? {}
        : held === "newest" && newest !== undefined
          ? { heldIndex: { epoch: "1", sequence: String(newest.document.sequence), digest: newest.digest } }
          : { heldIndex: { epoch: "1", sequence: held, digest: "sha256:another" } };
    return JSON.stringify({
      hello: {
        protocolVersions: (command.args.get("protocol") ?? "1,2").split(",").map(Number),
        agentVersion: command.args.get("version") ?? "v1",
        clusterId: "tenant-1",
        audit: { epoch: "7" },
        lastRevocationSerial: command.args.get("revocation") ?? "0",
        highestTerm: command.args.get("term") ?? "0",
        inventoryDigest: inventoryDigest([]),
        ...heldIndex,
      },
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

  #step(event: HubEvent): readonly string[] {
    const ready = this.#session.step(event, this.#nowMs, START_WALL_MS + this.#nowMs);
    return ready.afterPersist.map(printEffect);
  }

  #view(): object {
    const { phase, held, refused, quarantined, pendingRevocations, needsResync, lastDisconnect } = this.#session.view();
    return {
      phase,
      held,
      refused: refused?.reason,
      quarantined: [...quarantined],
      pendingRevocations,
      needsResync,
      lastDisconnect: lastDisconnect?.reason,
    };
  }
}

function printEffect(effect: HubEffect): string {
  switch (effect.type) {
    case "Send":
      return printFrame(effect.frame);
    case "LoadSession":
      return `LoadSession generation=${effect.generation}`;
    case "StoreFact":
      return shorten(`StoreFact token=${effect.token} ${printFact(effect.fact)}`);
    case "StoreAudit": {
      const numbers = effect.batch.events.map((event) => event.sequence);
      return `StoreAudit token=${effect.token} ${numbers[0] ?? 0n}…${numbers.at(-1) ?? 0n}`;
    }
    case "HandleRequest":
      return `HandleRequest ${effect.request.case} ${effect.request.value.requestId}`;
    default:
      return printFields("", effect);
  }
}

function printFact(fact: Fact): string {
  switch (fact.kind) {
    case "items":
      return `items ${fact.reports.map(printReport).join(" ")}`;
    case "state":
      return `${fact.key} version ${fact.payload.value.reportVersion}`;
    case "revocation":
      return `revocation ${fact.serial} ${fact.applied ? "applied" : "failed"} ${fact.detail}`.trimEnd();
  }
}

function printReport(report: ItemReport): string {
  const refused =
    report.nack === undefined ? "" : ` (${report.nack.reason}${report.nack.retryable ? ", retryable" : ""})`;
  return `${report.kind}/${report.name}@${report.version} level ${report.level}${refused}`;
}

function levelsOf(json: string): ItemReport[] {
  return json === "" ? [] : [fromJsonString(ItemReportSchema, json)];
}

function outcomeOf(command: Command): StoreOutcome {
  if (command.words.includes("failed")) return { kind: "failed" };
  if (command.words.includes("refused"))
    return { kind: "refused", reason: "NotYours", detail: "names another cluster" };
  return { kind: "stored" };
}

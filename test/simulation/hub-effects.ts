import { create } from "@bufbuild/protobuf";
import { RunnerConfigValidationResponseSchema } from "../../src/api/gen/conductor/federation/v1alpha1/commands_pb.ts";
import { Goodbye_Code } from "../../src/api/gen/conductor/federation/v1alpha1/session_pb.ts";
import { Turns } from "../../src/federation/hub/turns.ts";
import { itemKey } from "../../src/federation/index/index-document.ts";
import { forEachBody } from "../../src/federation/index/plan-index.ts";
import { frameEnvelope } from "../../src/federation/session/encode-frame.ts";
import { type Frame, payloadCase } from "../../src/federation/session/frame.ts";
import type { HubEffect } from "../../src/federation/session/hub/effects.ts";
import type { HubEvent, StoreOutcome } from "../../src/federation/session/hub/events.ts";
import type { DesiredState } from "./desired-state.ts";
import type { HubStore } from "./hub-store.ts";
import type { Process } from "./process.ts";
import type { Served } from "./served.ts";
import type { HubPart } from "./simulated-hub.ts";
import type { SwitchedOff } from "./switched-off.ts";
import { type World, must } from "./world.ts";

/** What performing effects needs of the hub's process. */
export interface HubShell {
  readonly world: World;
  readonly process: Process;
  readonly part: HubPart | undefined;
  readonly desired: ReadonlyMap<string, DesiredState>;
  readonly off: SwitchedOff;
  store(cluster: string): HubStore;
  served(cluster: string): Served | undefined;
  wallMs(): number;
  failing(): boolean;
  moving(): boolean;
  /** An event happens now, or in its turn. */
  step(cluster: string, event: HubEvent): void;
  event(cluster: string, make: () => HubEvent): void;
  /** A place where the process may die; true: it did. */
  boundary(): boolean;
  revocationsChanged(cluster: string): void;
  retriesChanged(cluster: string): void;
  tellDrift(cluster: string, name: string): void;
}

/** What a simulated hub does for its machines: stores, bodies, loading and frames, each in its time and now and then in vain. */
export class HubEffects {
  readonly #shell: HubShell;
  readonly #world: World;
  readonly #process: Process;
  readonly #part: HubPart | undefined;
  readonly #desired: ReadonlyMap<string, DesiredState>;
  readonly #bodies: Map<string, { served: number }> = new Map();
  /** One agent at a time, so that the others wait. */
  #compares = new Turns<string>(1);
  /** Frames sent that are not part of opening. */
  busyFrames = 0;
  /** Times that a machine asked for news to be handed in anew. */
  resyncs = 0;
  /** Bodies that were asked for, refused ones too. */
  bodiesAsked = 0;

  constructor(shell: HubShell) {
    this.#shell = shell;
    this.#world = shell.world;
    this.#process = shell.process;
    this.#part = shell.part;
    this.#desired = shell.desired;
  }

  /** The process died. */
  ended(): void {
    this.#compares = new Turns(1);
  }

  /** How often a body was pinned to be sent. */
  body(digest: string): { served: number } {
    let body = this.#bodies.get(digest);
    if (body === undefined) {
      body = { served: 0 };
      this.#bodies.set(digest, body);
    }
    return body;
  }

  /** Does what one effect says. */
  perform(cluster: string, served: Served, effect: HubEffect): void {
    const world = this.#world;
    switch (effect.type) {
      case "Send":
        this.#send(cluster, served, effect.generation, effect.frame);
        return;
      case "Destroy": {
        const link = served.links.get(effect.generation);
        served.links.delete(effect.generation);
        world.trace("hub", () => `destroys stream of ${cluster}: ${effect.code} ${effect.detail}`);
        link?.hubGone(effect.code, world.chance(0.1));
        return;
      }
      case "LoadSession":
        this.#load(cluster, effect);
        return;
      case "PinBlob": {
        const { token, digest } = effect;
        const current = this.#desired.get(cluster)?.current;
        const named = current !== undefined && this.#names(cluster, digest);
        const body = named ? this.#body(cluster, digest) : undefined;
        if (body !== undefined) {
          served.pins.set(digest, body);
          this.body(digest).served++;
        }
        this.bodiesAsked++;
        if (this.#shell.off.altered && this.#desired.get(cluster)?.blobs.corrupt.has(digest) === true) {
          served.pins.delete(digest);
          const found = { type: "BlobPinned", token, size: undefined, busy: false, corrupt: true } as const;
          this.#process.after(world.between(0, 10), () => this.#shell.step(cluster, found));
          return;
        }
        const size = this.#shell.off.bodies || world.chance(0.03) ? undefined : body?.length;
        this.#process.after(world.between(0, 10), () =>
          this.#shell.step(cluster, { type: "BlobPinned", token, size, busy: size === undefined }),
        );
        return;
      }
      case "UnpinBlob":
        served.pins.delete(effect.digest);
        return;
      case "AcquireCompare":
        this.#compares.acquire(cluster, () => this.#shell.event(cluster, () => ({ type: "CompareAcquired" })));
        return;
      case "ReleaseCompare":
        this.#compares.release(cluster);
        return;
      case "StoreFact": {
        const { token, fact } = effect;
        this.#process.after(world.between(1, 25), () => {
          const stored = (outcome: StoreOutcome): void => {
            if (this.#shell.boundary()) return; // stored, and nobody hears of it
            this.#shell.step(cluster, { type: "FactStored", token, outcome });
            if (fact.kind === "revocation" && outcome.kind === "stored") this.#shell.revocationsChanged(cluster);
          };
          const write = (): StoreOutcome => this.#shell.store(cluster).store(fact);
          const { snapshotReceipt } = this.#shell.store(cluster);
          if (snapshotReceipt !== undefined && fact.kind === "state" && fact.payload.case === "snapshotReceiptReport") {
            this.#world.stir();
            const { key, payload } = fact;
            snapshotReceipt(payload.value)
              .then((outcome) => {
                if (outcome.kind === "refused") this.#shell.store(cluster).refuses(key, payload.value.reportVersion);
                this.#process.after(0, () => stored(outcome.kind === "stored" ? write() : outcome));
              })
              .catch(this.#world.fail);
          } else if (this.#shell.off.stores || (this.#shell.failing() && world.chance(0.6))) stored({ kind: "failed" });
          else if (this.#part === undefined) stored(write());
          else
            this.#part.fenced(cluster, `${cluster}/${fact.kind}`, write, (outcome) =>
              stored(outcome ?? { kind: "failed" }),
            );
        });
        return;
      }
      case "StoreAudit": {
        const { token, batch } = effect;
        served.storing++;
        this.#process.after(this.#shell.off.sinkMs ?? world.between(1, 25), () => {
          served.storing--;
          // A sink may store and then fail to say so.
          const fails = this.#shell.off.stores || (this.#shell.failing() && world.chance(0.3));
          const stored = fails ? undefined : this.#shell.store(cluster).append(batch);
          const result = this.#shell.failing() && world.chance(0.3) ? undefined : stored;
          if (this.#shell.boundary()) return;
          this.#shell.step(cluster, { type: "AuditStored", token, result });
        });
        return;
      }
      case "SettleRetry":
        this.#process.after(world.between(1, 25), () => {
          const items = this.#shell.served(cluster)?.told?.document.items ?? [];
          const wanted = new Map(items.map((item) => [itemKey(item), item.digest]));
          this.#shell.store(cluster).retryIsOver(effect.id, wanted, this.#shell.wallMs());
          if (!this.#shell.boundary()) this.#shell.retriesChanged(cluster);
        });
        return;
      case "HandleRequest": {
        const { request } = effect;
        if (request.case !== "runnerConfigValidationRequest") return;
        const { requestId } = request.value;
        const value = create(RunnerConfigValidationResponseSchema, { requestId, approved: true });
        const payload = { case: "runnerConfigValidationResponse", value } as const;
        if (this.#shell.off.answers || world.chance(0.1)) return; // the room that answers is away: the agent's deadline must do
        this.#process.after(world.between(1, 50), () =>
          this.#shell.step(cluster, { type: "Respond", payload, key: requestId }),
        );
        return;
      }
      case "ChannelChanged":
        world.trace(
          "hub",
          () => `${cluster} ${effect.connected ? "connected" : `degraded: ${effect.reason} ${effect.detail}`}`,
        );
        return;
      case "Resync":
        this.resyncs++;
        for (const name of this.#shell.store(cluster).drifts.keys())
          if (effect.keys?.has(driftKey(name)) !== false)
            this.#process.after(1, () => this.#shell.tellDrift(cluster, name));
        return;
    }
  }

  #load(cluster: string, effect: Extract<HubEffect, { type: "LoadSession" }>): void {
    const { generation, hello } = effect;
    const world = this.#world;
    // A store that never answers: the machine's own deadline must end the stream.
    if (this.#shell.off.loads || (this.#shell.failing() && world.chance(0.05))) return;
    const load = (): void => {
      // The sink answers in order: a position is read behind what was handed in before. It matters to logs that went back.
      if (this.#shell.store(cluster).lenient && (this.#shell.served(cluster)?.storing ?? 0) > 0) {
        this.#process.after(5, load);
        return;
      }
      if (this.#shell.failing() && world.chance(0.2)) {
        const code = Goodbye_Code.OVERLOADED;
        this.#shell.step(cluster, {
          type: "SessionLoadFailed",
          generation,
          code,
          message: "store is away",
          retryAfterMs: 500,
          endpoint: "",
        });
        return;
      }
      const part = this.#part;
      const store = this.#shell.store(cluster);
      const loaded = (term: bigint): void => {
        const sessionId = `${cluster}-${part?.name ?? ""}-${this.#process.incarnation}-${generation}`;
        store.servedBy.set(sessionId, part?.identity ?? "");
        this.#shell.step(cluster, {
          type: "SessionLoaded",
          generation,
          loaded: {
            sessionId,
            term,
            replica: part?.name ?? "hub-0",
            audit: store.position(hello.audit?.epoch ?? 0n),
            storeWentBack: false,
            itemLevels: [...store.levels.values()],
            endpoints: part?.endpoints(cluster) ?? [],
          },
        });
      };
      if (part === undefined) {
        if (hello.highestTerm > 0n && (this.#shell.off.terms || (this.#shell.failing() && world.chance(0.1)))) {
          loaded(hello.highestTerm - 1n); // a store that was restored from a backup
          return;
        }
        if (store.term === 0n || hello.highestTerm > store.term || this.#shell.moving()) store.term++;
        loaded(store.term);
        return;
      }
      part.acquire(cluster, hello.highestTerm, (term) => {
        if (term !== undefined) {
          loaded(term);
          return;
        }
        const parts = { code: Goodbye_Code.NOT_OWNER, message: "no member", retryAfterMs: 1_000 };
        this.#shell.step(cluster, {
          type: "SessionLoadFailed",
          generation,
          ...parts,
          endpoint: part.elsewhere(cluster),
        });
      });
    };
    this.#process.after(this.#shell.off.loadMs ?? world.between(1, 40), load);
  }

  #send(cluster: string, served: Served, generation: number, frame: Frame): void {
    const link = served.links.get(generation);
    if (link === undefined) return;
    const envelope = frameEnvelope(frame, {
      pinned: (digest) => {
        const body = served.pins.get(digest);
        must(body !== undefined, `hub: ${digest} is sent to ${cluster} and not pinned`);
        return body;
      },
      inline: (digest) => (this.#world.chance(0.8) ? this.#desired.get(cluster)?.blobs.read(digest) : undefined),
    });
    const size = frame.body.kind === "chunk" ? frame.body.length : 0;
    must(size <= 256 * 1024, "hub: a chunk is larger than 256 KiB");
    served.rules.sends(generation, frame, envelope);
    if (frame.seq > 1) this.busyFrames++;
    if (payloadCase(frame.body) !== "heartBeat")
      this.#world.trace(
        "hub",
        () => `> ${cluster} ${generation}#${frame.seq} ${payloadCase(frame.body)} ack ${frame.ack}`,
      );
    link.sendDown(envelope, frame.bytes);
  }

  #names(cluster: string, digest: string): boolean {
    const current = this.#desired.get(cluster)?.current;
    if (current === undefined) return false;
    if (current.digest === digest) return true;
    let named = false;
    for (const item of current.document.items) forEachBody(item, (body) => (named ||= body === digest));
    return named;
  }

  #body(cluster: string, digest: string): Uint8Array | undefined {
    const state = this.#desired.get(cluster);
    return state?.current?.digest === digest ? state.current.envelope.body : state?.blobs.read(digest);
  }
}

/** Key of the news about a drift signal. */
export function driftKey(name: string): string {
  return `drift/${name}`;
}

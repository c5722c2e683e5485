import type { Envelope } from "../../src/api/gen/conductor/federation/v1alpha1/federation_pb.ts";
import { itemKey } from "../../src/federation/index/index-document.ts";
import { frameEnvelope } from "../../src/federation/session/encode-frame.ts";
import { type Frame, payloadCase } from "../../src/federation/session/frame.ts";
import type { SpokeEffect } from "../../src/federation/session/spoke/effects.ts";
import { ITEM_LEVELS } from "../../src/federation/session/spoke/record.ts";
import type { AgentShell } from "./agent-shell.ts";
import { itemReportsIn } from "./carried-reports.ts";
import { Link, type LinkEnd } from "./link.ts";
import { must } from "./world.ts";

const NO_BODIES = {
  pinned: (): Uint8Array => new Uint8Array(),
  inline: (): Uint8Array | undefined => undefined,
};

/** The streams of one simulated agent: dialled, opened, written to, destroyed, reset, and gone with its process. */
export class AgentStreams {
  readonly #shell: AgentShell;
  readonly #links: Map<number, Link> = new Map();
  /** Frames sent that are not heartbeats, acknowledgements or part of opening; for the livelock check. */
  busyFrames = 0;
  /** Called when the process dials. */
  onDial: (endpoints: readonly string[]) => void = () => {};

  constructor(shell: AgentShell) {
    this.#shell = shell;
  }

  /** True while a stream is open at this end. */
  has(generation: number): boolean {
    return this.#links.has(generation);
  }

  /** Every connection is reset. */
  reset(): void {
    for (const link of this.#links.values()) link.reset();
  }

  /** The process died. */
  ended(): void {
    for (const link of this.#links.values()) link.agentGone("agent crashed", this.#shell.world.chance(0.3));
    this.#links.clear();
  }

  /** The machine gives a stream up. */
  destroy({ generation, code, detail }: Extract<SpokeEffect, { type: "Destroy" }>): void {
    const { world, cluster } = this.#shell;
    const link = this.#links.get(generation);
    this.#links.delete(generation);
    world.trace(cluster, () => `destroys stream ${generation}: ${code} ${detail}`);
    link?.agentGone(code, world.chance(0.1));
  }

  /** The machine asks for a stream. */
  dial(generation: number, endpoints: readonly string[]): void {
    const world = this.#shell.world;
    world.trace(this.#shell.cluster, () => `dials (${generation})`);
    this.onDial(endpoints);
    this.#shell.process.after(world.between(5, 60), () => {
      if (this.#shell.wire.partitioned || this.#shell.wire.stuck !== undefined) {
        // A connect phase has deadlines of its own; when the shell's fail too, the machine's must do.
        if (world.chance(0.1)) return;
        this.#shell.process.after(5_000, () =>
          this.#shell.step({ type: "DialFailed", generation, reason: "TCP connect timed out", answered: false }),
        );
        return;
      }
      // A stream ends with the process that dialled it: its generation is another stream's in the next life.
      const { incarnation } = this.#shell.process;
      const here = (run: () => void): void => {
        if (incarnation === this.#shell.process.incarnation) run();
      };
      const end: LinkEnd = {
        frame: (envelope, bytes) => here(() => this.#received(generation, envelope, bytes)),
        closed: (reason) => here(() => this.#shell.event(() => ({ type: "StreamClosed", generation, reason }))),
        blocked: () => here(() => this.#shell.event(() => ({ type: "StreamBlocked", generation }))),
        drained: () => here(() => this.#shell.event(() => ({ type: "StreamDrained", generation }))),
      };
      const link = this.#shell.hub.accept(
        this.#shell.cluster,
        (hubEnd) => new Link(world, this.#shell.wire, end, hubEnd),
        endpoints,
      );
      if (link === undefined) {
        this.#shell.step({ type: "DialFailed", generation, reason: "connection refused", answered: false });
        return;
      }
      this.#links.set(generation, link);
      this.#shell.step({ type: "StreamOpened", generation });
    });
  }

  #received(generation: number, envelope: Envelope, bytes: number): void {
    this.#shell.event(() => ({ type: "FrameReceived", generation, envelope, bytes }));
  }

  /** A frame goes to the transport. */
  send(generation: number, frame: Frame): void {
    const link = this.#links.get(generation);
    if (link === undefined) return; // destroyed meanwhile: the machine learns of it by its own Destroy or StreamClosed
    const envelope = frameEnvelope(frame, NO_BODIES);
    for (const report of itemReportsIn(envelope)) {
      const record = this.#shell.store.items.get(itemKey(report));
      must(
        record !== undefined &&
          (record.item.version > Number(report.version) || ITEM_LEVELS.indexOf(record.level) >= report.level),
        `${this.#shell.cluster}: ${itemKey(report)} reports level ${report.level} before it is durable`,
      );
      const isSame = record.item.version === Number(report.version);
      must(
        !isSame || frame.lane === (record.item.deleted === true ? "delete" : "update"),
        `${this.#shell.cluster}: ${itemKey(report)} is reported on the lane ${frame.lane}`,
      );
    }
    this.#shell.rules()?.sends(generation, frame, envelope);
    if (frame.seq > 1) this.busyFrames++;
    if (frame.seq > 0 || payloadCase(frame.body) !== "heartBeat")
      this.#shell.world.trace(
        this.#shell.cluster,
        () => `> ${generation}#${frame.seq} ${payloadCase(frame.body)} ack ${frame.ack}`,
      );
    link.sendUp(envelope, frame.bytes);
  }
}

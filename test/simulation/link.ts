import type { Envelope } from "../../src/api/gen/conductor/federation/v1alpha1/federation_pb.ts";
import { forge, unknownToPeer } from "./forgery.ts";
import type { World } from "./world.ts";

/** Frames in flight in one direction after which the transport refuses more, as grpc-js does. */
const HIGH_WATER_FRAMES = 16;

/** Longest time from the end of a partition until what it held back arrives, milliseconds: TCP sends again in its own time. */
const RESUME_MS = 250;

/** One end of a stream, as a process sees it. */
export interface LinkEnd {
  frame(envelope: Envelope, bytes: number): void;
  closed(reason: string): void;
  blocked(): void;
  drained(): void;
}

/** The wire between one agent and the hub: what every stream of that pair goes through. */
export class Wire {
  #partitioned = false;
  #stuck: Way | undefined = undefined;
  /** What goes on when nothing is held back any more. */
  #waiting: (() => void)[] = [];
  /** Extra delay of every frame, milliseconds. */
  slowMs = 0;
  #mangles: Mangling | undefined = undefined;
  /** Share of frames that are mangled. */
  mangled = MANGLED;
  /** True once frames changed places or got lost: what one frame says of another one may then be missed. */
  reordered = false;

  /** While true nothing arrives; bytes wait, as TCP keeps them. */
  get partitioned(): boolean {
    return this.#partitioned;
  }

  set partitioned(value: boolean) {
    this.#partitioned = value;
    this.#resume();
  }

  /** The one direction in which nothing arrives: a path that is dead one way, or a peer that does not read. */
  get stuck(): Way | undefined {
    return this.#stuck;
  }

  set stuck(way: Way | undefined) {
    this.#stuck = way;
    this.#resume();
  }

  /** True when nothing arrives that way. */
  holds(way: Way): boolean {
    return this.#partitioned || this.#stuck === way;
  }

  /** Runs `run` once, when something may arrive again. */
  afterwards(run: () => void): void {
    this.#waiting.push(run);
  }

  #resume(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const run of waiting) run();
  }

  /** What a broken middlebox, or a broken peer, does to some frames. */
  get mangles(): Mangling | undefined {
    return this.#mangles;
  }

  set mangles(how: Mangling | undefined) {
    this.#mangles = how;
    this.reordered ||= how === "reorder" || how === "drop";
  }
}

/** A direction: to the hub, or to the agent. */
export type Way = "up" | "down";

/** Ways to break a stream that TCP would never break; `forge` and `unknown` are a peer's doing. */
export type Mangling = "duplicate" | "drop" | "reorder" | "forge" | "unknown";

/** Share of frames that are mangled, unless a scenario says otherwise. */
const MANGLED = 0.1;

interface Direction {
  readonly way: Way;
  to: LinkEnd | undefined;
  from: LinkEnd | undefined;
  readonly queue: (() => void)[];
  /** Frames that arrived where nothing passes. */
  heldBack: number;
  inFlight: number;
  blocked: boolean;
  /** A frame that goes after the next one. */
  held: (() => void) | undefined;
  /** No frame arrives before the one sent before it. */
  lastArrivalMs: number;
}

/** One stream between two processes: FIFO in each direction, delayed, held back by partitions, cut by resets. */
export class Link {
  readonly #world: World;
  readonly #wire: Wire;
  readonly #up: Direction;
  readonly #down: Direction;

  constructor(world: World, wire: Wire, agent: LinkEnd, hub: LinkEnd) {
    this.#world = world;
    this.#wire = wire;
    const fresh = { heldBack: 0, inFlight: 0, blocked: false, held: undefined, lastArrivalMs: 0 };
    this.#up = { ...fresh, way: "up", to: hub, from: agent, queue: [] };
    this.#down = { ...fresh, way: "down", to: agent, from: hub, queue: [] };
  }

  /** The agent writes. */
  sendUp(envelope: Envelope, bytes: number): void {
    this.#send(this.#up, envelope, bytes);
  }

  /** The hub writes. */
  sendDown(envelope: Envelope, bytes: number): void {
    this.#send(this.#down, envelope, bytes);
  }

  /**
   * The agent's process or its end of the stream is gone; the hub learns of it when a packet gets through. `silent`: never, as when
   * power fails or a path turns into a black hole. What was on its way to the agent may still reach its shell, late.
   */
  agentGone(reason: string, silent: boolean): void {
    if (this.#world.chance(0.5)) this.#down.to = undefined;
    this.#up.from = undefined;
    if (!silent) this.#announce(this.#up, reason);
  }

  /** The hub's process or its end of the stream is gone. */
  hubGone(reason: string, silent: boolean): void {
    if (this.#world.chance(0.5)) this.#up.to = undefined;
    this.#down.from = undefined;
    if (!silent) this.#announce(this.#down, reason);
  }

  /** Something on the path resets the connection; each side learns of it in its own time. */
  reset(): void {
    this.#announce(this.#up, "connection reset");
    this.#announce(this.#down, "connection reset");
  }

  #send(direction: Direction, envelope: Envelope, bytes: number): void {
    direction.inFlight++;
    const mangling = this.#wire.mangles;
    const mangled = mangling !== undefined && this.#world.chance(this.#wire.mangled) ? mangling : undefined;
    const arrives = (): void => {
      direction.inFlight--;
      if (direction.blocked && direction.inFlight <= HIGH_WATER_FRAMES / 2) {
        direction.blocked = false;
        direction.from?.drained();
      }
      if (mangled === "drop") return;
      direction.to?.frame(this.#altered(mangled, direction.way, envelope), bytes);
      if (mangled === "duplicate") direction.to?.frame(envelope, bytes);
    };
    const { held } = direction;
    direction.held = mangled === "reorder" && held === undefined ? arrives : undefined;
    if (direction.held === undefined) this.#arrive(direction, arrives);
    if (held !== undefined) this.#arrive(direction, held);
    if (direction.blocked || direction.inFlight < HIGH_WATER_FRAMES) return;
    direction.blocked = true;
    direction.from?.blocked();
  }

  #altered(mangled: Mangling | undefined, way: Way, envelope: Envelope): Envelope {
    if (mangled === "forge") return forge(this.#world, envelope, way === "down");
    return mangled === "unknown" ? unknownToPeer(envelope) : envelope;
  }

  #announce(direction: Direction, reason: string): void {
    this.#arrive(direction, () => {
      const end = direction.to;
      direction.to = undefined;
      end?.closed(reason);
    });
  }

  /** Arrivals are strictly in the order of sending; a partition holds the head of the queue back, and all behind it. */
  #arrive(direction: Direction, run: () => void): void {
    const world = this.#world;
    direction.queue.push(run);
    const arrivalMs = Math.max(direction.lastArrivalMs, world.nowMs + world.between(1, 20) + this.#wire.slowMs);
    direction.lastArrivalMs = arrivalMs;
    world.after(arrivalMs - world.nowMs, () => this.#deliver(direction));
  }

  #deliver(direction: Direction): void {
    if (!this.#wire.holds(direction.way)) {
      direction.queue.shift()?.();
      return;
    }
    direction.heldBack++;
    if (direction.heldBack === 1) this.#wire.afterwards(() => this.#resume(direction));
  }

  #resume(direction: Direction): void {
    this.#world.after(this.#world.between(0, RESUME_MS), () => {
      const count = direction.heldBack;
      direction.heldBack = 0;
      for (let at = 0; at < count; at++) this.#deliver(direction);
    });
  }
}

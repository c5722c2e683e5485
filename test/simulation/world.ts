import { setImmediate } from "node:timers/promises";
import { SeededRandom, integerBetween } from "../../src/base/random.ts";

/** An invariant was broken; the message says which. */
export class SimulationFailure extends Error {
  override readonly name = "SimulationFailure";
}

/** Fails the run when `condition` is false. */
export function must(condition: boolean, message: string): asserts condition {
  if (!condition) throw new SimulationFailure(message);
}

/** Effects that one machine may hand to its shell within a second of virtual time: far more than any burst has. */
export const EFFECTS_PER_SECOND = 2_000;

/** Counts what a machine does per second of virtual time: more than {@link EFFECTS_PER_SECOND} is a livelock. */
export class EffectRate {
  readonly #who: string;
  #second = -1;
  #count = 0;
  /** Most effects in one second so far. */
  highest = 0;

  constructor(who: string) {
    this.#who = who;
  }

  add(nowMs: number, effects: number): void {
    const second = Math.trunc(nowMs / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#count = 0;
    }
    this.#count += effects;
    if (this.#count > this.highest) this.highest = this.#count;
    must(this.#count <= EFFECTS_PER_SECOND, `livelock: ${this.#who} has ${this.#count} effects within one second`);
  }
}

/**
 * Events of a whole world within one second of virtual time, turns of its asynchronous rooms included: hundreds of agents that all connect
 * at once have a tenth of it. Whatever goes round without time passing is found after so many.
 */
export const EVENTS_PER_SECOND = 200_000;

interface Scheduled {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

/** Wall clock at the start of every run, Unix milliseconds. */
export const START_WALL_MS = Date.UTC(2026, 0, 1);

/** How often the machines did what they count: says which paths a set of runs has met. */
export class Coverage {
  readonly counts: Map<string, number> = new Map();

  add(counters: object): void {
    for (const [name, count] of Object.entries(counters))
      if (typeof count === "number") this.counts.set(name, (this.counts.get(name) ?? 0) + count);
  }
}

/** Virtual time, seeded chance and the transcript of one run. Everything that happens is an event in the heap. */
export class World {
  readonly random: SeededRandom;
  readonly coverage: Coverage = new Coverage();
  readonly #heap: Scheduled[] = [];
  readonly #lines: string[] = [];
  readonly #traced: boolean;
  #order = 0;
  #nowMs = 0;
  #stirred = false;
  #second = 0;
  #eventsInSecond = 0;
  #failure: Error | undefined = undefined;

  constructor(seed: number, traced: boolean) {
    this.random = new SeededRandom(seed);
    this.#traced = traced;
  }

  /** Virtual time, milliseconds. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** The transcript so far. */
  get transcript(): string {
    return this.#lines.join("\n");
  }

  /** Uniform integer in [min, max]. */
  between(min: number, max: number): number {
    return integerBetween(this.random, min, max);
  }

  /** True with a probability. */
  chance(probability: number): boolean {
    return this.random.next() < probability;
  }

  /** Writes a line of the transcript. The text is only built when somebody reads it. */
  trace(who: string, text: () => string): void {
    if (this.#traced) this.#lines.push(`${(this.#nowMs / 1000).toFixed(3).padStart(9)} ${who.padEnd(8)} ${text()}`);
  }

  /** Runs `run` after `delayMs`. */
  after(delayMs: number, run: () => void): void {
    const heap = this.#heap;
    heap.push({ atMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, run });
    let at = heap.length - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!before(heap[at], heap[parent])) break;
      swap(heap, at, parent);
      at = parent;
    }
  }

  /**
   * Runs events until `untilMs` or until `done` says so. Returns the number of events.
   *
   * @throws SimulationFailure "livelock" after {@link EVENTS_PER_SECOND}
   */
  run(untilMs: number, done: () => boolean = () => false): number {
    let events = 0;
    for (;;) {
      const next = this.#heap[0];
      if (next === undefined || next.atMs > untilMs) break;
      this.#pop();
      this.#nowMs = next.atMs;
      this.#count();
      next.run();
      events++;
      if (done()) return events;
    }
    this.#nowMs = Math.max(this.#nowMs, untilMs);
    return events;
  }

  /** Something asynchronous began or was answered: {@link settle} lets it run before the next event. */
  stir(): void {
    this.#stirred = true;
  }

  /** {@link run} for a world with asynchronous rooms: whatever an event set in motion has come to rest before the next one. */
  async settle(untilMs: number): Promise<number> {
    let events = 0;
    for (;;) {
      events += this.run(untilMs, () => this.#stirred);
      if (!this.#stirred) return events;
      this.#stirred = false;
      this.#count();
      await setImmediate();
      if (this.#failure !== undefined) throw this.#failure;
    }
  }

  /** What went wrong in something asynchronous: {@link settle} throws the first. */
  readonly fail = (error: unknown): void => {
    this.#failure ??= error instanceof Error ? error : new SimulationFailure(String(error));
  };

  /** One more event, or turn, at this time. */
  #count(): void {
    const second = Math.trunc(this.#nowMs / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#eventsInSecond = 0;
    }
    this.#eventsInSecond++;
    must(
      this.#eventsInSecond <= EVENTS_PER_SECOND,
      `livelock: ${EVENTS_PER_SECOND} events within the second ${second}`,
    );
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    heap[0] = last;
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      const right = left + 1;
      let least = at;
      if (before(heap[left], heap[least])) least = left;
      if (before(heap[right], heap[least])) least = right;
      if (least === at) return;
      swap(heap, at, least);
      at = least;
    }
  }
}

function before(a: Scheduled | undefined, b: Scheduled | undefined): boolean {
  if (a === undefined || b === undefined) return false;
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

function swap(heap: Scheduled[], a: number, b: number): void {
  const [left, right] = [heap[a], heap[b]];
  if (left === undefined || right === undefined) return;
  heap[a] = right;
  heap[b] = left;
}

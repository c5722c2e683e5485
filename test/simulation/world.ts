import { SeededRandom, integerBetween } from "../../src/base/random.ts";

/** An invariant was broken; the message says which. */
export class SimulationFailure extends Error {
  override readonly name = "SimulationFailure";
}

/** Fails the run when `condition` is false. */
export function must(condition: boolean, message: string): asserts condition {
  if (!condition) throw new SimulationFailure(message);
}

interface Scheduled {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

/** Wall clock at the start of every run, Unix milliseconds. */
export const START_WALL_MS = Date.UTC(2026, 0, 1);

/** Virtual time, seeded chance and the transcript of one run. Everything that happens is an event in the heap. */
export class World {
  readonly random: SeededRandom;
  readonly #heap: Scheduled[] = [];
  readonly #lines: string[] = [];
  readonly #traced: boolean;
  #order = 0;
  #nowMs = 0;

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

  /** Runs events until `untilMs` or until `done` says so. Returns the number of events. */
  run(untilMs: number, done: () => boolean = () => false): number {
    let events = 0;
    for (;;) {
      const next = this.#heap[0];
      if (next === undefined || next.atMs > untilMs) break;
      this.#pop();
      this.#nowMs = next.atMs;
      next.run();
      events++;
      must(events < 2_000_000, `livelock: ${events} events until ${this.#nowMs} ms`);
      if (done()) return events;
    }
    this.#nowMs = Math.max(this.#nowMs, untilMs);
    return events;
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

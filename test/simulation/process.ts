import type { World } from "./world.ts";

/** Chance of life of one process: what it scheduled dies with it, and while it is stopped everything waits, in order. */
export class Process {
  readonly #world: World;
  #incarnation = 0;
  #alive = false;
  #frozenUntilMs = 0;
  #stopped: (() => void)[] = [];

  constructor(world: World) {
    this.#world = world;
  }

  /** Number of this life. */
  get incarnation(): number {
    return this.#incarnation;
  }

  get alive(): boolean {
    return this.#alive;
  }

  /** True while it is stopped, or has not caught up yet. */
  get frozen(): boolean {
    return this.#world.nowMs < this.#frozenUntilMs || this.#stopped.length > 0;
  }

  /** A new life begins. */
  start(): void {
    this.#incarnation++;
    this.#alive = true;
    this.#stopped = [];
  }

  /** This life ends; nothing it scheduled happens any more. */
  end(): void {
    this.#incarnation++;
    this.#alive = false;
    this.#stopped = [];
  }

  /** SIGSTOP for a while. */
  freeze(ms: number): void {
    this.#frozenUntilMs = Math.max(this.#frozenUntilMs, this.#world.nowMs + ms);
  }

  /** Runs in this life only, and not while it is stopped. */
  after(delayMs: number, run: () => void): void {
    const incarnation = this.#incarnation;
    this.#world.after(delayMs, () => {
      if (incarnation !== this.#incarnation || !this.#alive) return;
      if (this.#world.nowMs >= this.#frozenUntilMs && this.#stopped.length === 0) {
        run();
        return;
      }
      this.#stopped.push(run);
      if (this.#stopped.length === 1) this.#thaw(incarnation);
    });
  }

  #thaw(incarnation: number): void {
    this.#world.after(Math.max(0, this.#frozenUntilMs - this.#world.nowMs), () => {
      if (incarnation !== this.#incarnation) return;
      if (this.#world.nowMs < this.#frozenUntilMs) {
        this.#thaw(incarnation);
        return;
      }
      const waiting = this.#stopped;
      this.#stopped = [];
      for (const run of waiting) {
        if (incarnation !== this.#incarnation) return;
        run();
      }
    });
  }
}

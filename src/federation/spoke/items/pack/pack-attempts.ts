/** A correction that ended, as drift reports name it. */
export interface EndedCorrection {
  /** `{correlationId}/{attempt}`. */
  readonly id: string;
  readonly applied: boolean;
  /** Empty when applied. */
  readonly error: string;
}

/** Something happened to a pack on this tenant that drift detection must know. */
export interface AttemptEnded {
  readonly packInstalled: string;
  readonly correction?: EndedCorrection;
}

/**
 * One attempt at a time for each pack: delivery, correction and removal never overlap, and drift detection holds its judgement while one
 * runs (conductor §9.4).
 */
export class PackAttempts {
  readonly #tails = new Map<string, Promise<void>>();
  readonly #running = new Map<string, AbortController>();
  readonly #listeners = new Set<(ended: AttemptEnded) => Promise<void>>();

  /** True while an attempt for the pack runs or waits. */
  running(packInstalled: string): boolean {
    return this.#tails.has(packInstalled);
  }

  /** Runs `body` when no other attempt of the pack does. Its signal aborts when the attempt is {@link stop}ped. */
  async run<T>(packInstalled: string, body: (stopped: AbortSignal) => Promise<T>): Promise<T> {
    const before = this.#tails.get(packInstalled) ?? Promise.resolve();
    let end: () => void = () => {};
    const tail = new Promise<void>((resolve) => {
      end = resolve;
    });
    const chained = before.then(() => tail);
    this.#tails.set(packInstalled, chained);
    try {
      await before;
      const stop = new AbortController();
      this.#running.set(packInstalled, stop);
      return await body(stop.signal);
    } finally {
      end();
      if (this.#tails.get(packInstalled) === chained) {
        this.#tails.delete(packInstalled);
        this.#running.delete(packInstalled);
      }
    }
  }

  /** Stops the attempt of a pack that runs now and resolves when those that had begun or waited are over. */
  async stop(packInstalled: string, reason: Error): Promise<void> {
    this.#running.get(packInstalled)?.abort(reason);
    await this.#tails.get(packInstalled);
  }

  /** Tells everybody that the world changed for a pack, and resolves when they have made durable what they need of it. Call after {@link run}. */
  async ended(event: AttemptEnded): Promise<void> {
    for (const listener of this.#listeners) await listener(event);
  }

  /** Returns the way to stop. */
  subscribe(listener: (ended: AttemptEnded) => Promise<void>): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

import type { Clock } from "../../../base/clock.ts";
import { errorMessage } from "../../../base/errors.ts";
import { type BackoffPolicy, fullJitter } from "../../../base/backoff.ts";
import type { Log } from "../../../base/log.ts";
import type { Random } from "../../../base/random.ts";

const RETRY: BackoffPolicy = { baseMs: 50, factor: 2, capMs: 10_000 };

/** Parts of a {@link LifecycleQueue}. */
export interface LifecycleQueueOptions {
  readonly name: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Looks at the world for one key and does what is missing; thrown errors are tried again with backoff. */
  readonly reconcile: (key: string) => Promise<void>;
}

/** Serial, level-based work of the cluster's own controllers: each key waits at most once. */
export class LifecycleQueue {
  readonly #options: LifecycleQueueOptions;
  readonly #keys = new Set<string>();
  readonly #attempts = new Map<string, number>();
  #running: Promise<void> | undefined;

  constructor(options: LifecycleQueueOptions) {
    this.#options = options;
  }

  add(key: string): void {
    if (this.#options.signal.aborted) return;
    this.#keys.add(key);
    this.#running ??= this.#run();
  }

  /** Resolves when no work is under way. */
  async idle(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal, reconcile, log, name, clock, random } = this.#options;
    // The caller is inside a commit's publication: let it finish first.
    await Promise.resolve();
    while (!signal.aborted) {
      const [key] = this.#keys;
      if (key === undefined) break;
      this.#keys.delete(key);
      try {
        await reconcile(key);
        this.#attempts.delete(key);
      } catch (error) {
        if (signal.aborted) break;
        const attempt = this.#attempts.get(key) ?? 0;
        this.#attempts.set(key, attempt + 1);
        log.warn({ controller: name, key, error: errorMessage(error) }, "reconcile failed; trying again");
        this.#keys.add(key);
        try {
          await clock.sleep(fullJitter(RETRY, attempt, random), signal);
        } catch {
          break; // closing
        }
      }
    }
    this.#running = undefined;
  }
}

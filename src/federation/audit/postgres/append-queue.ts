import { unpackBatch } from "../sink-batch.ts";
import { type FromSinkWorker, type SinkWrite, workerError } from "../sink-messages.ts";
import type { PostgresAppend } from "./postgres-append.ts";

/** Most events that share one commit. */
const MAX_GROUP_EVENTS = 8_192;
/** Most bytes of events that share one commit, unless one batch is larger. */
const MAX_GROUP_BYTES = 4 * 1024 * 1024;

type Append = Extract<SinkWrite, { readonly type: "append" }>;

/** Batches of all agents that wait, stored in groups; a group is under way on each writing connection. */
export class AppendQueue {
  readonly #append: PostgresAppend;
  readonly #writers: number;
  readonly #post: (message: FromSinkWorker) => void;
  #waiting: Append[] = [];
  #running = 0;
  #scheduled = false;
  #idle: (() => void) | undefined;

  constructor(append: PostgresAppend, writers: number, post: (message: FromSinkWorker) => void) {
    this.#append = append;
    this.#writers = writers;
    this.#post = post;
  }

  push(request: Append): void {
    this.#waiting.push(request);
    this.#schedule();
  }

  /** Resolves when nothing waits and nothing is under way. */
  idle(): Promise<void> {
    return new Promise((resolve) => {
      this.#idle = resolve;
      this.#settle();
    });
  }

  #settle(): void {
    if (this.#running === 0 && this.#waiting.length === 0) this.#idle?.();
  }

  #schedule(): void {
    if (this.#scheduled || this.#running >= this.#writers || this.#waiting.length === 0) return;
    this.#scheduled = true;
    // A turn later: every batch that has already arrived joins the group.
    setImmediate(() => {
      this.#scheduled = false;
      const group = this.#take();
      if (group.length > 0) void this.#run(group);
      this.#schedule();
    });
  }

  #take(): readonly Append[] {
    let events = 0;
    let bytes = 0;
    let count = 0;
    for (const { batch } of this.#waiting) {
      events += batch.sequences.length;
      bytes += batch.bytes.length;
      if (count > 0 && (events > MAX_GROUP_EVENTS || bytes > MAX_GROUP_BYTES)) break;
      count += 1;
    }
    const group = this.#waiting.slice(0, count);
    this.#waiting = this.#waiting.slice(count);
    return group;
  }

  async #run(group: readonly Append[]): Promise<void> {
    this.#running += 1;
    const pending = group.map(({ cluster, batch, nowMs }) => ({
      cluster,
      batch: unpackBatch(batch),
      receivedMs: nowMs,
    }));
    const oldestMs = Math.min(...group.map(({ nowMs }) => nowMs));
    const outcomes = await this.#append.append(pending, oldestMs);
    for (const [at, { id }] of group.entries()) {
      const outcome = outcomes[at];
      if (outcome?.ok === true) this.#post({ type: "answer", id, value: outcome.value });
      else this.#post({ type: "failure", id, ...workerError(outcome?.error) });
    }
    this.#running -= 1;
    this.#schedule();
    this.#settle();
  }
}

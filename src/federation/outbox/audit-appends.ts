import { SeamError } from "../../base/errors.ts";
import type { NewAuditEvent } from "./outbox-request.ts";
import type { AuditAppend, AuditAppended } from "./outbox-store.ts";

/** Most events of one request: bounds the time to its answer, and how long the event loop is held. */
export const MAX_APPEND_EVENTS = 256;
/** Most bytes of one request, unless one event is larger. */
const MAX_APPEND_BYTES = 1024 * 1024;
/** Requests under way at once: one is being made durable while the next is on its way. */
const MAX_UNDER_WAY = 2;
/** Most events that may wait. */
const MAX_WAITING = 100_000;

interface Waiting extends NewAuditEvent {
  resolve(appended: AuditAppended): void;
  reject(error: unknown): void;
}

/**
 * Gathers audit events into requests: a turn of the store and an answer cost more than storing an event. The first leaves in
 * the turn in which it came; what comes while requests are under way shares the next.
 */
export class AuditAppends {
  readonly #ask: (events: readonly NewAuditEvent[]) => Promise<AuditAppend>;
  readonly #object: string;
  #waiting: Waiting[] = [];
  #underWay = 0;
  #scheduled = false;
  #settled: (() => void) | undefined;

  /** @param object what errors call the store */
  constructor(ask: (events: readonly NewAuditEvent[]) => Promise<AuditAppend>, object: string) {
    this.#ask = ask;
    this.#object = object;
  }

  /** Resolves when the event is durable. @throws SeamError `AuditLogFull` or `StoreOverloaded` */
  append(event: Uint8Array, droppable: boolean): Promise<AuditAppended> {
    return new Promise((resolve, reject) => {
      if (this.#waiting.length >= MAX_WAITING) {
        reject(
          new SeamError({
            reason: "StoreOverloaded",
            object: this.#object,
            expected: `at most ${MAX_WAITING} audit events waiting for the disk`,
          }),
        );
        return;
      }
      this.#waiting.push({ event, droppable, resolve, reject });
      this.#schedule();
    });
  }

  /** Resolves when nothing waits and nothing is under way. */
  settled(): Promise<void> {
    return new Promise((resolve) => {
      this.#settled = resolve;
      this.#settle();
    });
  }

  #settle(): void {
    if (this.#underWay === 0 && this.#waiting.length === 0) this.#settled?.();
  }

  #schedule(): void {
    if (this.#scheduled || this.#underWay >= MAX_UNDER_WAY || this.#waiting.length === 0) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      void this.#send();
    });
  }

  async #send(): Promise<void> {
    const group = this.#take();
    this.#underWay += 1;
    try {
      const { refused, ...appended } = await this.#ask(group.map(({ event, droppable }) => ({ event, droppable })));
      const errors = new Map(refused.map(({ at, parts }) => [at, parts]));
      for (const [at, { resolve, reject }] of group.entries()) {
        const parts = errors.get(at);
        if (parts === undefined) resolve(appended);
        else reject(new SeamError(parts));
      }
    } catch (error) {
      for (const { reject } of group) reject(error);
    } finally {
      this.#underWay -= 1;
      this.#schedule();
      this.#settle();
    }
  }

  #take(): readonly Waiting[] {
    let count = 0;
    let bytes = 0;
    for (const { event } of this.#waiting) {
      bytes += event.length;
      if (count > 0 && (count >= MAX_APPEND_EVENTS || bytes > MAX_APPEND_BYTES)) break;
      count += 1;
    }
    const group = this.#waiting.slice(0, count);
    this.#waiting = this.#waiting.slice(count);
    return group;
  }
}

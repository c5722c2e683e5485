import { SeamError } from "./errors.ts";

/** Audit events that wait in memory while the log cannot be opened. */
export const MAX_EVENTS_IN_MEMORY = 1_000;

interface WaitingEvent<Target> {
  readonly droppable: boolean;
  hand(target: Target): void;
  reject(error: Error): void;
}

/**
 * Events before there is a log that takes them, in their order. Once it is known that the log cannot be opened their number is bounded: an
 * event that may be dropped makes room for one that may not, and what finds no place is refused, so that whoever recorded it counts it.
 */
export class WaitingEvents<Target> {
  #events: WaitingEvent<Target>[] = [];
  #max = Number.POSITIVE_INFINITY;
  #object = "audit log";
  #missed = 0;

  get size(): number {
    return this.#events.length;
  }

  /** Events that found no place. */
  get missed(): number {
    return this.#missed;
  }

  /** @throws SeamError `AuditLogUnavailable` when there is no place */
  add<T>(droppable: boolean, run: (target: Target) => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#events.push({ droppable, reject, hand: (target) => void run(target).then(resolve, reject) });
      this.#trim();
    });
  }

  /** From now on at most `max` wait: the log cannot be opened. `object` names it in errors. */
  bound(object: string, max = MAX_EVENTS_IN_MEMORY): void {
    this.#max = max;
    this.#object = object;
    this.#trim();
  }

  /** Hands everything that waits to the log, oldest first. */
  flush(target: Target): void {
    const events = this.#events;
    this.#events = [];
    this.#max = Number.POSITIVE_INFINITY;
    for (const event of events) event.hand(target);
  }

  #trim(): void {
    while (this.#events.length > this.#max) {
      const at = this.#events.findIndex(({ droppable }) => droppable);
      // Nothing may be dropped: the newest finds no place, as in a log at its hard limit.
      const [refused] = this.#events.splice(at < 0 ? this.#events.length - 1 : at, 1);
      this.#missed++;
      refused?.reject(
        new SeamError({
          reason: "AuditLogUnavailable",
          object: this.#object,
          expected: `an audit log that can be opened; ${this.#max} events wait in memory and this one finds no place`,
          remedy: "see condition AuditWALUnavailable of the RunnerConfig; opening is tried again every 30 s",
        }),
      );
    }
  }
}

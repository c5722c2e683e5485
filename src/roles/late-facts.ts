import type { JsonObject } from "../base/json.ts";
import { WaitingEvents } from "../base/waiting-events.ts";
import type { DecisionLogState, ReplicaState } from "../permissions/service/status-answer.ts";
import type { FactOutbox } from "../federation/spoke/ports.ts";

/**
 * The tenant's outbox before it is open: handlers and the PermissionService are made first, the spoke that owns the outbox last. A fact
 * waits until {@link LateFacts.open}, so nothing is lost in between; while the store cannot be opened at all, audit events are bounded.
 */
export class LateFacts implements FactOutbox {
  readonly #opened = Promise.withResolvers<FactOutbox>();
  readonly #waiting = new WaitingEvents<FactOutbox>();
  /** Once it is open, nothing stands between a fact and its outbox: there is one for every deny. */
  #outbox: FactOutbox | undefined;

  /** How the log stands that they go to, once somebody knows. */
  logState: () => DecisionLogState | undefined = () => undefined;

  /** Which replica this is, likewise. */
  replicaState: () => ReplicaState | undefined = () => undefined;

  /** Audit events that wait in memory. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Audit events that found no place. */
  get missed(): number {
    return this.#waiting.missed;
  }

  open(outbox: FactOutbox): void {
    this.#outbox = outbox;
    this.#waiting.flush(outbox);
    this.#opened.resolve(outbox);
  }

  /** The store cannot be opened: from now on few audit events wait. */
  bound(object: string): void {
    if (this.#outbox === undefined) this.#waiting.bound(object);
  }

  packReceipt(report: Parameters<FactOutbox["packReceipt"]>[0]): Promise<void> {
    return this.#with((outbox) => outbox.packReceipt(report));
  }

  snapshotReceipt(report: Parameters<FactOutbox["snapshotReceipt"]>[0]): Promise<void> {
    return this.#with((outbox) => outbox.snapshotReceipt(report));
  }

  drift(report: Parameters<FactOutbox["drift"]>[0]): Promise<void> {
    return this.#with((outbox) => outbox.drift(report));
  }

  capability(declaration: Parameters<FactOutbox["capability"]>[0]): Promise<void> {
    return this.#with((outbox) => outbox.capability(declaration));
  }

  audit(event: JsonObject): Promise<void> {
    if (this.#outbox !== undefined) return this.#outbox.audit(event);
    return this.#waiting.add(event["decision"] === "allow", (outbox) => outbox.audit(event));
  }

  async #with(fact: (outbox: FactOutbox) => Promise<void>): Promise<void> {
    await fact(await this.#opened.promise);
  }
}

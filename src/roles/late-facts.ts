import type { JsonObject } from "../base/json.ts";
import type { FactOutbox } from "../federation/spoke/ports.ts";

/**
 * The tenant's outbox before it is open: handlers and the PermissionService are made first, the spoke that owns the outbox last. A fact
 * waits until {@link LateFacts.open}, so nothing is lost in between.
 */
export class LateFacts implements FactOutbox {
  readonly #opened = Promise.withResolvers<FactOutbox>();
  /** Once it is open, nothing stands between a fact and its outbox: there is one for every deny. */
  #outbox: FactOutbox | undefined;

  open(outbox: FactOutbox): void {
    this.#outbox = outbox;
    this.#opened.resolve(outbox);
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
    return this.#outbox === undefined ? this.#with((outbox) => outbox.audit(event)) : this.#outbox.audit(event);
  }

  async #with(fact: (outbox: FactOutbox) => Promise<void>): Promise<void> {
    await fact(await this.#opened.promise);
  }
}

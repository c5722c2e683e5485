import type { JsonObject } from "../base/json.ts";
import type { FactOutbox } from "../federation/spoke/ports.ts";

/**
 * The tenant's outbox before it is open: handlers and the PermissionService are made first, the spoke that owns the outbox last. A fact
 * waits until {@link LateFacts.open}, so nothing is lost in between.
 */
export class LateFacts implements FactOutbox {
  readonly #outbox = Promise.withResolvers<FactOutbox>();

  open(outbox: FactOutbox): void {
    this.#outbox.resolve(outbox);
  }

  async packReceipt(report: Parameters<FactOutbox["packReceipt"]>[0]): Promise<void> {
    await (await this.#outbox.promise).packReceipt(report);
  }

  async snapshotReceipt(report: Parameters<FactOutbox["snapshotReceipt"]>[0]): Promise<void> {
    await (await this.#outbox.promise).snapshotReceipt(report);
  }

  async drift(report: Parameters<FactOutbox["drift"]>[0]): Promise<void> {
    await (await this.#outbox.promise).drift(report);
  }

  async capability(declaration: Parameters<FactOutbox["capability"]>[0]): Promise<void> {
    await (await this.#outbox.promise).capability(declaration);
  }

  async audit(event: JsonObject): Promise<void> {
    await (await this.#outbox.promise).audit(event);
  }
}

import { Nack_Class } from "../../src/api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import { type IndexItem, type IndexRevocation, itemKey } from "../../src/federation/index/index-document.ts";
import type { HandlerPhase } from "../../src/federation/session/spoke/effects.ts";
import type { ItemNack } from "../../src/federation/spoke/ports.ts";
import type { BlobWorld } from "./desired-state.ts";
import { must } from "./world.ts";

/** The tenant cluster behind one agent: what handlers do lasts, whatever happens to the agent's process. */
export class Tenant {
  readonly cluster: string;
  readonly #blobs: BlobWorld;
  /** Version in force of each item. */
  readonly applied: Map<string, { version: number; digest: string }> = new Map();
  readonly #verified: Set<string> = new Set();
  /** Highest version whose effect ever took place, tombstones included. */
  readonly #highest: Map<string, number> = new Map();
  /** Order of the content in force. */
  readonly #order: Map<string, number> = new Map();
  /** Serials of revocations in force. */
  readonly revoked: Set<bigint> = new Set();
  readonly #floors: Map<string, number> = new Map();
  /** True once the agent's store was restored or lost: it may then ask for what was in force before. */
  outlivesAgent = false;
  /** While true, every handler fails, retryably. */
  busy = false;
  /** While true, handlers fail now and then, retryably. */
  flaky = false;
  /** Time that looking at health takes; undefined: a moment. */
  healthMs: number | undefined = undefined;
  /** Revocations that fail yet; undefined: one in ten. */
  failedRevocations: number | undefined = undefined;

  constructor(cluster: string, blobs: BlobWorld) {
    this.cluster = cluster;
    this.#blobs = blobs;
  }

  /** Runs one phase to its end. */
  run(phase: HandlerPhase, item: IndexItem, flake: boolean): ItemNack | undefined {
    const key = itemKey(item);
    if (this.busy) return { class: Nack_Class.BUSY, retryable: true, reason: "BUSY", detail: "the API server is away" };
    if (this.flaky && flake)
      return { class: Nack_Class.BUSY, retryable: true, reason: "FLAKY", detail: "the API server did not answer" };
    if (this.#blobs.poisonOf(item.digest) === phase)
      return { class: Nack_Class.INVALID, retryable: false, reason: "POISON", detail: `refused in ${phase}` };
    // What a tenant has in force outlives the agent's store: handlers refuse what is older, as receipts and snapshot floors make them.
    if (this.outlivesAgent && phase !== "healthy" && this.#isBehind(key, item)) return behind(key, item.version);
    const id = `${key}@${item.version}`;
    switch (phase) {
      case "verify":
        this.#verified.add(id);
        return undefined;
      case "apply":
        must(this.outlivesAgent || this.#verified.has(id), `${this.cluster}: ${id} is applied without being verified`);
        this.#rise(key, item);
        this.#order.set(key, this.#blobs.orderOf(item.digest));
        this.applied.set(key, { version: item.version, digest: item.digest });
        return undefined;
      case "healthy":
        if (this.outlivesAgent && this.applied.get(key)?.digest !== item.digest) return behind(key, item.version);
        must(this.applied.get(key)?.digest === item.digest, `${this.cluster}: ${id} is observed and not in force`);
        return undefined;
      case "remove":
        must(item.deleted === true, `${this.cluster}: ${id} is removed without a tombstone`);
        this.#rise(key, item);
        this.applied.delete(key);
        return undefined;
    }
  }

  /** True when a revocation that is tried now works; `unlucky`: what chance says. */
  revokes(unlucky: boolean): boolean {
    if (this.failedRevocations === undefined) return !unlucky;
    if (this.failedRevocations === 0) return true;
    this.failedRevocations--;
    return false;
  }

  /** Puts a revocation floor in force; floors only rise. */
  raiseFloor({ target, name, floor }: IndexRevocation): void {
    this.#floors.set(`${target}/${name}`, Math.max(floor, this.floor(target, name)));
  }

  /** The floor in force; 0 when there is none. */
  floor(target: string, name: string): number {
    return this.#floors.get(`${target}/${name}`) ?? 0;
  }

  /** By the order that the content itself carries: index versions begin anew with an epoch. */
  #isBehind(key: string, item: IndexItem): boolean {
    return item.deleted !== true && this.#blobs.orderOf(item.digest) < (this.#order.get(key) ?? 0);
  }

  #rise(key: string, item: IndexItem): void {
    if (this.outlivesAgent) return;
    const highest = this.#highest.get(key) ?? 0;
    must(item.version >= highest, `${this.cluster}: ${key} takes effect at version ${item.version} after ${highest}`);
    this.#highest.set(key, item.version);
  }
}

function behind(key: string, version: number): ItemNack {
  const detail = `${key}@${version} is older than what is in force`;
  return { class: Nack_Class.UNTRUSTED, retryable: false, reason: "ROLLBACK_REJECTED", detail };
}

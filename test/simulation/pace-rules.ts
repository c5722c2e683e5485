import type { Fact, HubEffect } from "../../src/federation/session/hub/effects.ts";
import type { HubEvent } from "../../src/federation/session/hub/events.ts";
import { QUEUED_BYTES, QUEUED_MESSAGES, STORE_RETRY } from "../../src/federation/session/limits.ts";
import { must } from "./world.ts";

/** Part of a queue that must have left before what it refused is handed in anew: the queue was full and is half full by then. */
const LEFT = 1 / 4;

/**
 * What a hub session may do only so often, whatever happens: a store that failed is not tried again before the least pause of its backoff
 * has passed, also when something new comes meanwhile, and news that did not fit are handed in anew only when there is room for them.
 */
export class PaceRules {
  readonly #who: string;
  /** What is being stored, by token. */
  readonly #storing: Map<number, string> = new Map();
  /** When a store failed last, by what it stores. */
  readonly #failedMs: Map<string, number> = new Map();
  /** News that left since they were handed in anew; undefined before the first time on this stream. */
  #left: { messages: number; bytes: number } | undefined = undefined;

  constructor(who: string) {
    this.#who = who;
  }

  /** The stream ended: what waited is forgotten, with its backoff, and what is being stored for it says nothing of the next one. */
  ended(): void {
    this.#storing.clear();
    this.#failedMs.clear();
    this.#left = undefined;
  }

  /** After a step of the machine. */
  stepped(event: HubEvent, effects: readonly HubEffect[], nowMs: number): void {
    if (event.type === "FactStored") this.#answered(event.token, event.outcome.kind === "failed", nowMs);
    if (event.type === "AuditStored") this.#answered(event.token, event.result === undefined, nowMs);
    for (const effect of effects) {
      if (effect.type === "StoreFact") this.#stores(effect.token, keyOf(effect.fact), nowMs);
      if (effect.type === "StoreAudit") this.#stores(effect.token, "audit", nowMs);
      if (effect.type === "Resync" && effect.keys !== undefined) this.#handedIn();
      if (effect.type === "Send" && effect.frame.lane === "command" && this.#left !== undefined) {
        this.#left.messages++;
        this.#left.bytes += effect.frame.bytes;
      }
    }
  }

  #answered(token: number, failed: boolean, nowMs: number): void {
    const what = this.#storing.get(token);
    this.#storing.delete(token);
    if (what === undefined) return;
    if (failed) this.#failedMs.set(what, nowMs);
    else this.#failedMs.delete(what);
  }

  #stores(token: number, what: string, nowMs: number): void {
    this.#storing.set(token, what);
    const sinceMs = nowMs - (this.#failedMs.get(what) ?? -Infinity);
    must(sinceMs >= STORE_RETRY.baseMs / 2, `${this.#who} stores ${what} again ${sinceMs} ms after that failed`);
  }

  #handedIn(): void {
    const { messages, bytes } = this.#left ?? { messages: QUEUED_MESSAGES, bytes: QUEUED_BYTES };
    must(
      messages >= QUEUED_MESSAGES * LEFT || bytes >= QUEUED_BYTES * LEFT,
      `${this.#who} has news handed in anew after ${messages} of ${bytes} bytes left`,
    );
    this.#left = { messages: 0, bytes: 0 };
  }
}

function keyOf(fact: Fact): string {
  switch (fact.kind) {
    case "items":
      return "item reports";
    case "state":
      return fact.key;
    case "revocation":
      return `the outcome of revocation ${fact.serial}`;
  }
}

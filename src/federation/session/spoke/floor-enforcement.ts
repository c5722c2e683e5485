import type { Random } from "../../../base/random.ts";
import type { IndexDocument, IndexRevocation } from "../../index/index-document.ts";
import { STORE_RETRY } from "../limits.ts";
import { retryAtMs } from "../retry.ts";
import type { Tokens } from "../tokens.ts";
import type { SpokeStep } from "./step.ts";

/**
 * Puts the revocation floors of the index in force before anything else of that index is: no phase of an item starts and the index is
 * not reported accepted until the tenant's stores hold its floors. So a lost push heals with the next index, and an accepted
 * index proves that its floors hold. A floor that cannot be stored is tried again and holds the rest back: it fails closed.
 */
export class FloorEnforcement {
  readonly #random: Random;
  readonly #tokens: Tokens;
  /** Floors the stores hold, as this process has heard; raising one again is harmless, so nothing of it is stored here. */
  readonly #held: Map<string, number> = new Map();
  #wanted: readonly IndexRevocation[] = [];
  #token = 0;
  #running: readonly IndexRevocation[] = [];
  #attempts = 0;
  #retryAtMs = 0;

  constructor(random: Random, tokens: Tokens) {
    this.#random = random;
    this.#tokens = tokens;
  }

  /** True when every floor of the index in force is held. */
  get settled(): boolean {
    return this.#token === 0 && this.#wanted.length === 0;
  }

  /** An index came into force, or was read back at start. */
  adopt(document: IndexDocument, step: SpokeStep): void {
    this.#wanted = document.revocations.filter(
      (revocation) => (this.#held.get(keyOf(revocation)) ?? 0) < revocation.floor,
    );
    this.#attempts = 0;
    this.#retryAtMs = 0;
    this.tick(step);
  }

  /** The stores answered. */
  done(token: number, ok: boolean, step: SpokeStep): void {
    if (token !== this.#token) return;
    this.#token = 0;
    if (ok) {
      for (const revocation of this.#running) this.#held.set(keyOf(revocation), revocation.floor);
      this.#wanted = this.#wanted.filter((revocation) => (this.#held.get(keyOf(revocation)) ?? 0) < revocation.floor);
      this.#attempts = 0;
    } else {
      this.#attempts++;
      this.#retryAtMs = retryAtMs(STORE_RETRY, this.#attempts - 1, this.#random, step.nowMs);
    }
    this.#running = [];
    this.tick(step);
  }

  /** Starts what is due. */
  tick(step: SpokeStep): void {
    if (this.#token !== 0 || this.#wanted.length === 0 || step.nowMs < this.#retryAtMs) return;
    this.#token = this.#tokens.next();
    this.#running = this.#wanted;
    step.out.push({ type: "EnforceFloors", token: this.#token, floors: this.#running });
  }

  get deadlineMs(): number {
    return this.#token === 0 && this.#wanted.length > 0 ? this.#retryAtMs : Infinity;
  }
}

function keyOf({ target, name }: IndexRevocation): string {
  return `${target}/${name}`;
}

import { SeamError } from "../../base/errors.ts";
import { nextTurn } from "../../base/next-turn.ts";
import { type OutboxOutcome, MAX_GROUP, performGroup } from "./group-commit.ts";
import { type OutboxRequest, isRepeatable, isWrite } from "./outbox-request.ts";
import type { OutboxStore } from "./outbox-store.ts";
import { isCorrupt, storeError } from "./store-error.ts";
import type { WriteAheadDisk } from "./write-ahead-disk.ts";

/** Most requests that may wait for the disk. */
const MAX_WAITING = 100_000;

interface Waiting {
  readonly request: OutboxRequest;
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

/** An open store and how its writes reach the disk. */
export interface OpenedStore {
  readonly store: OutboxStore;
  readonly disk: WriteAheadDisk;
}

/** Ways to an open store. */
export interface StoreWays {
  /** Opens what is there. */
  open(): OpenedStore;
  /** Puts a damaged store aside, which is closed, and opens the one in its place. */
  recover(): OpenedStore;
}

/**
 * The turn at the store: a group of requests at a time, answered when its writes are on the disk. Whatever comes while the disk works is
 * the next group. When the disk fails, nobody knows what is on it: the store is opened again, and read from there.
 */
export class StoreQueue {
  readonly #ways: StoreWays;
  readonly #path: string;
  #opened: OpenedStore | undefined;
  #waiting: Waiting[] = [];
  #running: Promise<void> | undefined;
  #closing: Promise<void> | undefined;

  /** @throws what `open` does */
  constructor(ways: StoreWays, path: string) {
    this.#ways = ways;
    this.#path = path;
    this.#opened = ways.open();
  }

  /** Resolves with what the request returns (`group-commit.ts`). @throws SeamError `StoreOverloaded`, `StoreClosed`, or as the store does */
  ask(request: OutboxRequest): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#closing !== undefined) reject(this.#refusal("StoreClosed", "an open store"));
      else if (this.#waiting.length >= MAX_WAITING)
        reject(this.#refusal("StoreOverloaded", `at most ${MAX_WAITING} writes waiting for the disk`));
      else {
        this.#waiting.push({ request, resolve, reject });
        this.#running ??= this.#run();
      }
    });
  }

  /** Performs what was asked before, then closes the store. */
  close(): Promise<void> {
    this.#closing ??= (async () => {
      await this.#running;
      await this.#opened?.disk.close();
    })();
    return this.#closing;
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      // A turn later: every request of this turn joins the group.
      await nextTurn();
      const group = this.#waiting.slice(0, MAX_GROUP);
      this.#waiting = this.#waiting.slice(MAX_GROUP);
      try {
        await this.#perform(group);
      } catch (error) {
        for (const { reject } of group) reject(storeError(error, this.#path));
        await this.#drop();
      }
    }
    this.#running = undefined;
  }

  /** @throws what the disk did, and what opening the store again did */
  async #perform(group: readonly Waiting[]): Promise<void> {
    this.#opened ??= this.#ways.open();
    const { store, disk } = this.#opened;
    const requests = group.map(({ request }) => request);
    const outcomes = performGroup(store, requests);
    if (mustLast(requests, outcomes)) await disk.durable();
    const damaged = outcomes.some((outcome) => !outcome.ok && isCorrupt(outcome.error));
    if (damaged) {
      // Before whoever asked hears of it: what it asks next is asked of the store that takes this one's place.
      await this.#drop();
      this.#opened = this.#ways.recover();
    }
    for (const [i, { resolve, reject }] of group.entries()) {
      const outcome = outcomes[i];
      if (outcome?.ok === true) resolve(outcome.value);
      else reject(outcome?.error);
    }
    if (!damaged && disk.writeBackDue) await disk.writeBack();
  }

  async #drop(): Promise<void> {
    const opened = this.#opened;
    this.#opened = undefined;
    await opened?.disk.close().catch(() => {
      // It has failed already, and that was told.
    });
  }

  #refusal(reason: "StoreClosed" | "StoreOverloaded", expected: string): SeamError {
    return new SeamError({ reason, object: this.#path, expected });
  }
}

/** Whether a group has changed what a crash may not undo. */
function mustLast(requests: readonly OutboxRequest[], outcomes: readonly OutboxOutcome[]): boolean {
  return requests.some((request, i) => outcomes[i]?.ok === true && isWrite(request) && !isRepeatable(request));
}

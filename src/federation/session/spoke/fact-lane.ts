import { FACT_LOAD_BATCH, MAX_FACT_BYTES, MAX_FACT_KEYS } from "../limits.ts";
import type { Tokens } from "../tokens.ts";
import type { SpokeCounters } from "./counters.ts";
import type { LoadedFact, PendingFact } from "./events.ts";
import type { SpokePipe, SpokeStep } from "./step.ts";

/** Order after Welcome (conductor §4.9): what the agent is, what it may serve, what it holds, what drifted. */
const KIND_ORDER = ["capabilityDeclaration", "snapshotReceiptReport", "packReceiptReport", "driftReport"] as const;

interface Pending {
  fact: PendingFact;
  /** Version sent on this stream; 0n when none was. */
  sent: bigint;
}

/**
 * State lane: the newest report of each key, sent until the hub acknowledged that version (lessons §3.1, §3.4). Waits as keys; bodies
 * are read from the outbox a few at a time, when there is room for them.
 */
export class FactLane {
  readonly #tokens: Tokens;
  readonly #counters: SpokeCounters;
  readonly #pending: Map<string, Pending> = new Map();
  readonly #toLoad: Set<string> = new Set();
  #loading: { readonly token: number; readonly keys: readonly string[] } | undefined = undefined;
  #loaded: LoadedFact[] = [];

  constructor(tokens: Tokens, counters: SpokeCounters, facts: readonly PendingFact[]) {
    this.#tokens = tokens;
    this.#counters = counters;
    for (const fact of facts) this.#pending.set(fact.key, { fact, sent: 0n });
  }

  /** Keys with a report that the hub has not acknowledged. */
  get length(): number {
    return this.#pending.size;
  }

  /** The outbox holds a new report. */
  add(fact: PendingFact): void {
    const pending = this.#pending.get(fact.key);
    if (pending === undefined) {
      // Beyond the bound the outbox still holds the report: it is found again at the next start.
      if (this.#pending.size >= MAX_FACT_KEYS) return;
      this.#pending.set(fact.key, { fact, sent: 0n });
    } else if (fact.reportVersion > pending.fact.reportVersion) {
      pending.fact = fact;
    } else {
      return;
    }
    this.#toLoad.add(fact.key);
  }

  /** A session is live: everything unacknowledged goes again, in the order of the protocol. */
  opened(): void {
    this.lost();
    for (const kind of KIND_ORDER) {
      for (const [key, pending] of this.#pending) {
        if (pending.fact.kind !== kind) continue;
        pending.sent = 0n;
        this.#toLoad.add(key);
      }
    }
  }

  /** The stream ended. */
  lost(): void {
    this.#loading = undefined;
    this.#loaded = [];
    this.#toLoad.clear();
  }

  /** Reports were read from the outbox. */
  take(token: number, facts: readonly LoadedFact[], step: SpokeStep): void {
    if (this.#loading?.token !== token) return;
    const asked = new Set(this.#loading.keys);
    this.#loading = undefined;
    for (const fact of facts) {
      asked.delete(fact.key);
      const pending = this.#pending.get(fact.key);
      if (pending === undefined) continue;
      if (fact.reportVersion > pending.fact.reportVersion) pending.fact = fact;
      if (fact.bytes > MAX_FACT_BYTES) {
        this.refused(
          fact.key,
          fact.reportVersion,
          "TOO_LARGE",
          `at most ${MAX_FACT_BYTES} bytes, found ${fact.bytes}`,
          step,
        );
        continue;
      }
      this.#loaded.push(fact);
    }
    for (const key of asked) this.#pending.delete(key); // gone from the outbox: nothing to say any more
  }

  /** The hub stored a report. */
  acknowledged(key: string, reportVersion: bigint, step: SpokeStep): void {
    const pending = this.#pending.get(key);
    if (pending === undefined) return;
    step.persist.push({ type: "AcknowledgeFact", key, reportVersion });
    if (pending.fact.reportVersion <= reportVersion) this.#pending.delete(key);
  }

  /** A report will never be stored. */
  refused(key: string, reportVersion: bigint, reason: string, detail: string, step: SpokeStep): void {
    this.#counters.factsRefused++;
    step.out.push({ type: "FactRefused", key, reason, detail });
    this.acknowledged(key, reportVersion, step);
  }

  /** Sends what was read and asks for more. Returns false when something waits for room. */
  pump(pipe: SpokePipe, step: SpokeStep): boolean {
    while (this.#loaded.length > 0) {
      const fact = this.#loaded[0];
      if (fact === undefined) break;
      if (pipe.blocked || !pipe.sending.hasRoom("update", fact.bytes)) return false;
      this.#loaded.shift();
      const pending = this.#pending.get(fact.key);
      if (pending === undefined || pending.sent >= fact.reportVersion) continue;
      pending.sent = fact.reportVersion;
      this.#counters.factsSent++;
      const { key, reportVersion, payload } = fact;
      const tag = { kind: "fact", key, reportVersion } as const;
      pipe.send(step.out, "update", { kind: "message", payload }, fact.bytes, step.nowMs, tag);
    }
    this.#load(step);
    return true;
  }

  #load(step: SpokeStep): void {
    if (this.#loading !== undefined || this.#toLoad.size === 0) return;
    const keys: string[] = [];
    for (const key of this.#toLoad) {
      this.#toLoad.delete(key);
      const pending = this.#pending.get(key);
      if (pending === undefined || pending.sent >= pending.fact.reportVersion) continue;
      keys.push(key);
      if (keys.length === FACT_LOAD_BATCH) break;
    }
    if (keys.length === 0) return;
    const token = this.#tokens.next();
    this.#loading = { token, keys };
    step.out.push({ type: "LoadFacts", token, keys });
  }
}

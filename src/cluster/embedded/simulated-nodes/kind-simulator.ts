import { keyOf, keyText, type KubeObject, type ObjectKey } from "../../../api/object.ts";
import type { ResourceType } from "../../../api/resource-type.ts";
import { type BackoffPolicy, fullJitter } from "../../../base/backoff.ts";
import { rfc3339Seconds, type Clock } from "../../../base/clock.ts";
import { errorMessage } from "../../../base/errors.ts";
import type { Log } from "../../../base/log.ts";
import type { Random } from "../../../base/random.ts";
import { isExpired, isStatus } from "../../api-status-error.ts";
import type { Cluster } from "../../cluster.ts";
import { jsonEqual } from "../json/mutable-json.ts";
import { cloneJson } from "../json/mutable-json.ts";
import type { StatusRule } from "./workload-status.ts";

/** What all kinds are simulated with. */
export interface SimulatorParts {
  readonly cluster: Cluster;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Mean time from a change to its outcome, milliseconds; each workload gets 50–150 % of it. */
  readonly startupMs: number;
}

/** Field manager of simulated status. */
export const SIMULATOR_MANAGER = "simulated-nodes";

const RETRY: BackoffPolicy = { baseMs: 200, factor: 2, capMs: 10_000 };
/** Time between a list and the next when the watch breaks. */
const RELIST: BackoffPolicy = { baseMs: 100, factor: 2, capMs: 10_000 };

interface Work {
  readonly key: ObjectKey;
  /** Monotonic time from which it is to be done. */
  due: number;
  attempt: number;
  /** When this uid and generation were first seen, and when it settles. */
  revision: string;
  settlesAt: number;
}

type WithStatus<T> = T & { readonly status?: object };

/** Drives the status of all objects of one kind: a level-based loop over the current object, fed by a watch. */
export class KindSimulator<T extends KubeObject> {
  readonly #parts: SimulatorParts;
  readonly #type: ResourceType<T>;
  readonly #rule: StatusRule<T>;
  readonly #concerns: (object: T) => boolean;
  /** One entry per existing object of the kind. */
  readonly #work = new Map<string, Work>();
  #wake: () => void = () => {};

  /** @param concerns false for objects that somebody else looks after */
  constructor(
    parts: SimulatorParts,
    type: ResourceType<T>,
    rule: StatusRule<T>,
    concerns: (object: T) => boolean = () => true,
  ) {
    this.#parts = parts;
    this.#type = type;
    this.#rule = rule;
    this.#concerns = concerns;
  }

  /** Runs until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#observe(signal), this.#drive(signal)]);
  }

  async #observe(signal: AbortSignal): Promise<void> {
    const { cluster, clock, random, log } = this.#parts;
    for (let failures = 0; !signal.aborted;) {
      try {
        const page = await cluster.list(this.#type);
        for (const object of page.items) this.#enqueue(object);
        let resourceVersion = page.resourceVersion;
        for (;;) {
          const events = cluster.watch(this.#type, { resourceVersion, allowWatchBookmarks: true }, signal);
          for await (const event of events) {
            failures = 0;
            if (event.type === "BOOKMARK") resourceVersion = event.resourceVersion;
            else {
              resourceVersion = event.object.metadata.resourceVersion ?? resourceVersion;
              if (event.type === "DELETED") this.#work.delete(keyText(keyOf(event.object)));
              else this.#enqueue(event.object);
            }
          }
          if (signal.aborted) return;
        }
      } catch (error) {
        if (signal.aborted) return;
        if (!isExpired(error))
          log.warn({ kind: this.#type.kind, error: errorMessage(error) }, "watch broke; listing again");
        try {
          await clock.sleep(fullJitter(RELIST, failures++, random), signal);
        } catch {
          return; // aborted while waiting
        }
      }
    }
  }

  #enqueue(object: T): void {
    if (!this.#concerns(object)) return;
    const id = keyText(keyOf(object));
    const revision = `${object.metadata.uid}/${object.metadata.generation ?? 0}`;
    const known = this.#work.get(id);
    const now = this.#parts.clock.monotonic();
    if (known?.revision === revision) {
      known.due = Math.min(known.due, now);
    } else {
      const startup = this.#parts.startupMs * (0.5 + this.#parts.random.next());
      this.#work.set(id, { key: keyOf(object), due: now, attempt: 0, revision, settlesAt: now + startup });
    }
    this.#wake();
  }

  async #drive(signal: AbortSignal): Promise<void> {
    const { clock } = this.#parts;
    while (!signal.aborted) {
      const now = clock.monotonic();
      const due = [...this.#work.values()].filter((work) => work.due <= now);
      for (const work of due) {
        if (signal.aborted) return;
        await this.#reconcile(work);
      }
      let next = Number.POSITIVE_INFINITY;
      for (const work of this.#work.values()) next = Math.min(next, work.due);
      await this.#pause(next - clock.monotonic(), signal);
    }
  }

  /** Waits until something is due, something changed, or the end. */
  async #pause(ms: number, signal: AbortSignal): Promise<void> {
    if (ms <= 0) return;
    const woken = new AbortController();
    const wait = AbortSignal.any([woken.signal, signal]);
    this.#wake = () => woken.abort();
    try {
      if (Number.isFinite(ms)) await this.#parts.clock.sleep(ms, wait);
      else if (!wait.aborted) {
        await new Promise<void>((resolve) => wait.addEventListener("abort", () => resolve(), { once: true }));
      }
    } catch {
      // woken or aborted: the loop looks again
    }
    this.#wake = () => {};
  }

  async #reconcile(work: Work): Promise<void> {
    const { cluster, clock, log, random } = this.#parts;
    work.due = Number.POSITIVE_INFINITY;
    try {
      const object: WithStatus<T> = await cluster.get(this.#type, work.key);
      const time = rfc3339Seconds(clock.now());
      const current = cloneJson(object.status ?? {});
      const final = cloneJson(this.#rule(object, "settled", time));
      if (object.metadata.deletionTimestamp !== undefined || jsonEqual(current, final)) return;
      const left = work.settlesAt - clock.monotonic();
      const status = left > 0 ? cloneJson(this.#rule(object, "started", time)) : final;
      if (left > 0) work.due = Math.min(work.due, work.settlesAt);
      if (!jsonEqual(current, status)) {
        await cluster.updateStatus(this.#type, { ...object, status }, { fieldManager: SIMULATOR_MANAGER });
      }
      work.attempt = 0;
    } catch (error) {
      if (isStatus(error, "NotFound")) {
        this.#work.delete(keyText(work.key));
        return;
      }
      if (!isStatus(error, "Conflict")) {
        log.warn(
          { kind: this.#type.kind, key: keyText(work.key), error: errorMessage(error) },
          "simulated status failed",
        );
      }
      work.due = clock.monotonic() + fullJitter(RETRY, work.attempt++, random);
    }
  }
}

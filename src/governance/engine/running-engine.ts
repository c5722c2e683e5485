import type { Clock } from "../../base/clock.ts";
import { errorMessage } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { inSlices } from "../../base/next-turn.ts";
import type { CacheEvent } from "../../controller/cache/indexed-store.ts";
import type { Informer } from "../../controller/cache/informer.ts";
import { ignoreStatusChanges } from "../../controller/source.ts";
import { Debounce } from "../index/debounce.ts";
import { PermissionEngine, type PermissionSettings } from "./permission-engine.ts";
import { type PermissionChange, type PermissionObject, objectName } from "./permission-object.ts";
import type { PermissionListener, PermissionView } from "./permission-view.ts";

/** Quiet time before changes are computed, milliseconds (permissions §8.1). */
const QUIET_MS = 200;
/** Longest a change waits, milliseconds. */
const MAX_WAIT_MS = 2_000;
/** How often everything is computed anew, milliseconds (permissions §8.1). */
const FULL_RECONCILE_MS = 10 * 60_000;
/** Pause after a computation that failed, milliseconds (permissions §0). */
const RETRY_MS = 15_000;
/** Longest that the event loop is held at once, milliseconds: half of what is allowed, since a step may be longer than the rest of a slice. */
const SLICE_MS = 5;

/** An informer of any of the kinds. Written as a method, so that one of a kind is one of any. */
interface ObjectSource {
  readonly synced: Promise<void>;
  list(): readonly PermissionObject[];
  get(key: { readonly namespace: string; readonly name: string }): PermissionObject | undefined;
  subscribe(listener: (event: CacheEvent<PermissionObject>) => void): () => void;
}

/** What {@link startPermissionEngine} works with. */
export interface RunningEngineParts {
  readonly settings: PermissionSettings;
  /** Caches of every kind that permissions are computed from. */
  readonly informers: {
    readonly [Kind in PermissionObject["kind"]]: Informer<Extract<PermissionObject, { kind: Kind }>>;
  };
  /** Hears what becomes another after the first computation. */
  readonly listener: PermissionListener;
  /** Called after everything was looked at anew, the first time and from time to time. */
  readonly computedAnew: () => Promise<void>;
  /** Called after every computation: how many clusters' contents were computed, and how long it took from begin to end. */
  readonly computed: (figures: { readonly recomputed: number; readonly durationMs: number }) => void;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** The engine as it follows the management cluster. */
export interface RunningEngine {
  /** Where it stands; undefined before the first computation, since half of a fleet would look like a fleet that lost its half. */
  view(): PermissionView | undefined;
  /** Resolves after the first computation; rejects when stopped before. */
  readonly ready: Promise<void>;
  readonly closed: Promise<void>;
}

/**
 * Feeds the engine with what the caches hear. Changes of a short while go in together; the work is done in slices, so that the process
 * answers meanwhile, and everything is looked at anew now and then.
 */
export function startPermissionEngine(parts: RunningEngineParts): RunningEngine {
  const running = new Runner(parts);
  return { view: () => running.view, ready: running.ready, closed: running.closed };
}

class Runner {
  view: PermissionView | undefined;
  readonly ready: Promise<void>;
  readonly closed: Promise<void>;
  readonly #parts: RunningEngineParts;
  readonly #sources: readonly ObjectSource[];
  #engine: PermissionEngine;
  /** Newest change of each object that was not taken in yet; bounded by the number of objects. */
  #pending = new Map<string, PermissionChange>();
  #following = false;
  /** Changes have waited long enough. */
  #due = false;
  #wake: () => void = () => {};

  constructor(parts: RunningEngineParts) {
    this.#parts = parts;
    this.#engine = new PermissionEngine(parts.settings);
    this.#sources = Object.values(parts.informers);
    const { clock, signal } = parts;
    const debounce = new Debounce({
      quietMs: QUIET_MS,
      maxMs: MAX_WAIT_MS,
      clock,
      signal,
      fire: () => {
        this.#due = true;
        this.#wake();
      },
    });
    // Subscribed while the caches are empty: later, each of them would say all that it holds at once.
    for (const source of this.#sources) source.subscribe((event) => this.#heard(event, debounce));
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.ready = promise;
    // Nobody need wait for it: an unobserved rejection at shutdown is not an error.
    promise.catch(() => {});
    this.closed = this.#follow(resolve).catch((error: unknown) => {
      reject(error);
      if (!signal.aborted) throw error;
    });
  }

  #heard(event: CacheEvent<PermissionObject>, debounce: Debounce): void {
    if (!this.#following) return;
    const { object } = event;
    const name = objectName(object);
    if (!ignoreStatusChanges(event)) {
      if (this.#pending.has(name)) this.#pending.set(name, { type: "put", object });
      else this.#engine.renew(object);
      return;
    }
    const { kind, metadata } = object;
    const gone = { type: "remove", kind, namespace: metadata.namespace ?? "", name: metadata.name } as const;
    this.#pending.set(name, event.type === "DELETED" ? gone : { type: "put", object });
    debounce.touch("permissions");
  }

  /** Ends only with the signal. */
  async #follow(ready: () => void): Promise<void> {
    const { clock, signal, log } = this.#parts;
    await Promise.all(this.#sources.map(({ synced }) => synced));
    let fullAtMs = 0;
    for (let broken = true; ;) {
      try {
        if (broken) {
          this.#engine = new PermissionEngine(this.#parts.settings);
          await this.#computeAnew();
          ready();
        } else if (clock.monotonic() >= fullAtMs) await this.#lookAnew();
        else {
          await this.#changed(fullAtMs - clock.monotonic());
          if (this.#due) await this.#takeIn();
          continue;
        }
        broken = false;
        fullAtMs = clock.monotonic() + FULL_RECONCILE_MS;
      } catch (error) {
        signal.throwIfAborted();
        log.error(
          { error: errorMessage(error), againInMs: RETRY_MS },
          "permissions could not be computed: what is signed stays as it is, and everything is computed anew",
        );
        broken = true;
        await clock.sleep(RETRY_MS, signal);
      }
    }
  }

  /** Waits for changes that are due, for at most `ms`. @throws the signal's reason */
  async #changed(ms: number): Promise<void> {
    const { clock, signal } = this.#parts;
    if (this.#due) return;
    const woken = new AbortController();
    this.#wake = () => woken.abort();
    try {
      await clock.sleep(ms, AbortSignal.any([signal, woken.signal]));
    } catch {
      signal.throwIfAborted();
    }
  }

  async #takeIn(): Promise<void> {
    const changes = this.#pending;
    this.#pending = new Map();
    this.#due = false;
    this.#parts.computed(await this.#run(changes.values(), this.#parts.listener));
  }

  /** Everything, from a new engine; nobody sees it before it is whole. */
  async #computeAnew(): Promise<void> {
    this.#pending = new Map();
    this.#following = true;
    const all = this.#sources.flatMap((source) => source.list());
    const figures = await this.#run(puts(all), {});
    this.view = this.#engine.view;
    this.#parts.computed(figures);
    await this.#parts.computedAnew();
  }

  /** Everything again, in place: what was missed is taken in, and what is there is judged and computed anew. */
  async #lookAnew(): Promise<void> {
    this.#pending = new Map();
    const { clock, informers, listener } = this.#parts;
    const all = this.#sources.flatMap((source) => source.list());
    const { view } = this.#engine;
    await inSlices(this.#withdrawals(view, informers), SLICE_MS, clock);
    this.#engine.recheck();
    this.#parts.computed(await this.#run(puts(all), listener));
    await this.#parts.computedAnew();
  }

  /** Lets go of what the engine holds and the caches do not. */
  *#withdrawals(view: PermissionView, informers: RunningEngineParts["informers"]): Generator<void, void> {
    for (const judged of [view.sets, view.policies, view.providers, view.profiles, view.bindings])
      for (const { object } of judged.values()) {
        const { namespace = "", name } = object.metadata;
        if (informers[object.kind].get({ namespace, name }) === undefined)
          this.#engine.apply({ type: "remove", kind: object.kind, namespace, name });
        yield;
      }
  }

  async #run(
    changes: Iterable<PermissionChange>,
    listener: PermissionListener,
  ): Promise<{ readonly recomputed: number; readonly durationMs: number }> {
    const { clock, log, signal } = this.#parts;
    const started = clock.monotonic();
    let recomputed = 0;
    const counting: PermissionListener = {
      ...listener,
      cluster: (name, before, after) => {
        recomputed++;
        listener.cluster?.(name, before, after);
      },
    };
    await inSlices(work(this.#engine, changes, counting, signal), SLICE_MS, clock);
    const durationMs = clock.monotonic() - started;
    log.debug({ clusters: this.#engine.view.snapshots.size, recomputed, durationMs }, "permissions computed");
    return { recomputed, durationMs };
  }
}

function* puts(objects: Iterable<PermissionObject>): Generator<PermissionChange> {
  for (const object of objects) yield { type: "put", object };
}

function* work(
  engine: PermissionEngine,
  changes: Iterable<PermissionChange>,
  listener: PermissionListener,
  signal: AbortSignal,
): Generator<void, void> {
  for (const change of changes) {
    engine.apply(change);
    yield;
  }
  for (const _ of engine.settle(listener)) {
    signal.throwIfAborted();
    yield;
  }
}

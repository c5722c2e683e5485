import type { Unstructured } from "../../../api/object.ts";
import type { Clock } from "../../../base/clock.ts";
import type { WatchEvent } from "../../cluster.ts";
import { ApiStatusError } from "../../api-status-error.ts";
import { badRequest, expired } from "../status-errors.ts";
import type { StoreEvent } from "../store/collection.ts";
import type { ObjectStore } from "../store/object-store.ts";
import { Watcher, type WatcherOptions } from "./watcher.ts";

/** How often a watch that asked for bookmarks gets one. */
export const BOOKMARK_INTERVAL_MS = 60_000;

/** Watches open at once; more are refused with 429. */
const MAX_WATCHES = 20_000;

/** One watch request, resolved to a collection. */
export interface WatchRequest extends WatcherOptions {
  readonly collection: string;
  readonly namespace: string | undefined;
  readonly resourceVersion: string | undefined;
  readonly sendInitialEvents: boolean | undefined;
  readonly timeoutMs: number | undefined;
}

/** Parses a resourceVersion from a client. @throws ApiStatusError 400 */
export function parseResourceVersion(text: string | undefined): number {
  if (text === undefined || text === "") return 0;
  if (!/^\d{1,15}$/.test(text)) {
    const shown = JSON.stringify(text);
    throw badRequest(
      `invalid resource version: resourceVersion: Invalid value: ${shown}: strconv.ParseUint: parsing ${shown}: invalid syntax`,
    );
  }
  return Number(text);
}

/** 504 as the API server answers for a version it has not reached. */
export function tooLargeVersion(version: number, current: number): ApiStatusError {
  return new ApiStatusError(504, "Timeout", `Timeout: Too large resource version: ${version}, current: ${current}`, {
    causes: [{ reason: "ResourceVersionTooLarge", message: "Too large resource version" }],
    retryAfterSeconds: 1,
  });
}

/** All watches of a cluster, fed by one subscription to the store. */
export class WatchCache {
  readonly #store: ObjectStore;
  readonly #clock: Clock;
  readonly #closing: AbortSignal;
  readonly #watchers = new Map<string, Set<Watcher>>();
  /** Resolves when the bookmark loop has ended. */
  readonly closed: Promise<void>;

  constructor(store: ObjectStore, clock: Clock, closing: AbortSignal) {
    this.#store = store;
    this.#clock = clock;
    this.#closing = closing;
    store.subscribe((events) => this.#publish(events));
    this.closed = this.#bookmarkLoop();
    closing.addEventListener("abort", () => this.#endAll(), { once: true });
  }

  #publish(events: readonly StoreEvent[]): void {
    for (const event of events) {
      const watchers = this.#watchers.get(event.collection);
      if (watchers) for (const watcher of watchers) watcher.offer(event);
    }
  }

  async #bookmarkLoop(): Promise<void> {
    for (;;) {
      try {
        await this.#clock.sleep(BOOKMARK_INTERVAL_MS, this.#closing);
      } catch {
        return; // closing: that is how the loop ends
      }
      for (const watchers of this.#watchers.values()) {
        for (const watcher of watchers) if (watcher.wantsBookmarks) watcher.bookmark(this.#store.version);
      }
    }
  }

  #endAll(): void {
    for (const watchers of this.#watchers.values()) for (const watcher of watchers) watcher.end();
  }

  /** Ends every watch of a collection, for example when its CRD goes away. */
  endCollection(collection: string): void {
    for (const watcher of this.#watchers.get(collection) ?? []) watcher.end();
  }

  /** Number of open watches, so that a test can prove that none is left. */
  get size(): number {
    let size = 0;
    for (const watchers of this.#watchers.values()) size += watchers.size;
    return size;
  }

  /** The events of one watch (see `Cluster.watch`). */
  async *watch(request: WatchRequest, signal: AbortSignal): AsyncGenerator<WatchEvent<Unstructured>> {
    if (signal.aborted || this.#closing.aborted) return;
    if (this.size >= MAX_WATCHES) {
      throw new ApiStatusError(429, "TooManyRequests", "too many watches are open", { retryAfterSeconds: 1 });
    }
    const watcher = new Watcher(request);
    const initial = this.#initialEvents(request, watcher);
    let watchers = this.#watchers.get(request.collection);
    if (!watchers) this.#watchers.set(request.collection, (watchers = new Set()));
    watchers.add(watcher);
    const stop = new AbortController();
    const onAbort = (): void => watcher.end();
    signal.addEventListener("abort", onAbort, { once: true });
    if (request.timeoutMs !== undefined) void this.#endAfter(request.timeoutMs, watcher, stop.signal);
    try {
      for (const event of initial) {
        if (signal.aborted) return;
        yield event;
      }
      for (;;) {
        const events = await watcher.next();
        if (events === undefined) return;
        for (const event of events) {
          if (signal.aborted) return;
          yield event;
        }
      }
    } finally {
      watchers.delete(watcher);
      watcher.end();
      signal.removeEventListener("abort", onAbort);
      stop.abort();
    }
  }

  async #endAfter(timeoutMs: number, watcher: Watcher, stopped: AbortSignal): Promise<void> {
    try {
      await this.#clock.sleep(timeoutMs, stopped);
    } catch {
      return; // the watch ended first
    }
    if (watcher.wantsBookmarks) watcher.bookmark(this.#store.version);
    watcher.end();
  }

  /** What comes before live events, taken in the same turn in which the watcher is registered. */
  #initialEvents(request: WatchRequest, watcher: Watcher): WatchEvent<Unstructured>[] {
    const collection = this.#store.collection(request.collection);
    const from = parseResourceVersion(request.resourceVersion);
    const current = this.#store.version;
    if (from > current) throw tooLargeVersion(from, current);
    const events: WatchEvent<Unstructured>[] = [];
    if (from === 0 || request.sendInitialEvents === true) {
      if (request.sendInitialEvents !== false) {
        for (const [, entry] of collection.entries(request.namespace)) {
          if (request.selector && !request.selector(entry.object)) continue;
          events.push({ type: "ADDED", object: request.present(entry.object) });
        }
      }
      if (request.sendInitialEvents === true && request.bookmarks) {
        events.push({ type: "BOOKMARK", resourceVersion: String(current), initialEventsEnd: true });
      }
      return events;
    }
    if (from < this.#store.compacted) {
      throw expired(`too old resource version: ${from} (${this.#store.compacted})`);
    }
    for (const event of collection.historyAfter(from)) {
      const translated = watcher.translate(event);
      if (translated) events.push(translated);
    }
    return events;
  }
}

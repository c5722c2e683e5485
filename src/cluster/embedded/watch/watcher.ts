import type { Unstructured } from "../../../api/object.ts";
import type { WatchEvent } from "../../cluster.ts";
import type { Selector } from "../selectors/selector.ts";
import { expired } from "../status-errors.ts";
import type { StoreEvent } from "../store/collection.ts";

/** Events a watcher may lag behind; beyond it is cut with 410 and lists again. */
export const MAX_WATCHER_QUEUE = 10_000;

/** What one watch selects and how it shows objects. */
export interface WatcherOptions {
  readonly selector: Selector;
  /** Shows a stored object in the version that the watch asked for. */
  readonly present: (object: Unstructured) => Unstructured;
  readonly bookmarks: boolean;
}

/** `object` with another resourceVersion: what a watch shows when an object left its selection. */
function atVersion(object: Unstructured, version: number): Unstructured {
  return { ...object, metadata: { ...object.metadata, resourceVersion: String(version) } };
}

/** One watch: filters commits into a bounded queue that its reader drains. */
export class Watcher {
  readonly #options: WatcherOptions;
  #queue: WatchEvent<Unstructured>[] = [];
  #wake: (() => void) | undefined;
  #ended = false;
  #failure: Error | undefined;

  constructor(options: WatcherOptions) {
    this.#options = options;
  }

  get wantsBookmarks(): boolean {
    return this.#options.bookmarks;
  }

  /** The watch event for a commit, or undefined when the selection does not see it. */
  translate(event: StoreEvent): WatchEvent<Unstructured> | undefined {
    const { selector, present } = this.#options;
    if (selector === undefined) return { type: event.type, object: present(event.object) };
    const before = event.previous !== undefined && selector(event.previous.object);
    const now = event.type !== "DELETED" && selector(event.object);
    if (now) return { type: before ? "MODIFIED" : "ADDED", object: present(event.object) };
    if (!before) return undefined;
    if (event.type === "DELETED") return { type: "DELETED", object: present(event.object) };
    return { type: "DELETED", object: present(atVersion(event.previous.object, event.version)) };
  }

  /** Takes a commit; a reader that is too slow loses the watch. */
  offer(event: StoreEvent): void {
    if (this.#ended) return;
    const translated = this.translate(event);
    if (translated) this.#push(translated);
  }

  bookmark(version: number, initialEventsEnd = false): void {
    if (!this.#ended) this.#push({ type: "BOOKMARK", resourceVersion: String(version), initialEventsEnd });
  }

  #push(event: WatchEvent<Unstructured>): void {
    if (this.#queue.length >= MAX_WATCHER_QUEUE) {
      this.end(expired(`the watch is too slow: more than ${MAX_WATCHER_QUEUE} events are waiting; list again`));
      return;
    }
    this.#queue.push(event);
    this.#wake?.();
  }

  /** Ends the watch: with an error at once, without one after what is queued. */
  end(failure?: Error): void {
    this.#ended = true;
    this.#failure ??= failure;
    if (failure) this.#queue = [];
    this.#wake?.();
  }

  /** Resolves with queued events, or undefined when the watch has ended. @throws the error it was ended with */
  async next(): Promise<readonly WatchEvent<Unstructured>[] | undefined> {
    while (this.#queue.length === 0) {
      if (this.#failure) throw this.#failure;
      if (this.#ended) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
    const events = this.#queue;
    this.#queue = [];
    return events;
  }
}

import type { KubeObject } from "../../api/object.ts";
import type { ResourceType } from "../../api/resource-type.ts";
import { type Informer, type InformerOptions, startInformer } from "./informer.ts";

/** What informers of one owner share. */
export type InformerSetParts = Pick<InformerOptions<KubeObject>, "cluster" | "clock" | "random" | "log" | "signal">;

/** Informers that one owner starts, and waits for together. */
export class InformerSet {
  readonly #parts: InformerSetParts;
  readonly #synced: Promise<void>[] = [];
  readonly #closed: Promise<void>[] = [];

  constructor(parts: InformerSetParts) {
    this.#parts = parts;
  }

  start<T extends KubeObject>(
    type: ResourceType<T>,
    selection: Pick<InformerOptions<T>, "namespace" | "labelSelector" | "indexes"> = {},
  ): Informer<T> {
    const { cluster, clock, random, log, signal } = this.#parts;
    const started = startInformer({ cluster, clock, random, log, signal, type, ...selection });
    this.#synced.push(started.synced);
    this.#closed.push(started.closed);
    return started;
  }

  /** Resolves when all that were started so far have listed. */
  get synced(): Promise<void> {
    return Promise.all(this.#synced).then(() => {});
  }

  /** Resolves when all that were started so far are closed. */
  get closed(): Promise<void> {
    return Promise.all(this.#closed).then(() => {});
  }
}

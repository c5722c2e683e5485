import { Nack_Class } from "../../api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import { errorMessage } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { type IndexItem, itemKey } from "../index/index-document.ts";
import type { Outbox } from "../outbox/outbox.ts";
import { MAX_RUNNING_HANDLERS } from "../session/limits.ts";
import { clip } from "../session/message.ts";
import type { HandlerPhase } from "../session/spoke/effects.ts";
import type { ItemContext, ItemHandler, ItemNack, ItemOutcome } from "./ports.ts";

/** Parts of a {@link HandlerRunner}. */
export interface HandlerRunnerParts {
  readonly cluster: string;
  readonly handlers: readonly ItemHandler[];
  readonly outbox: Pick<Outbox, "readBlob">;
  readonly log: Log;
  /** A phase ended; nack undefined means it succeeded. */
  readonly done: (token: number, nack: ItemNack | undefined) => void;
  readonly waiting: (token: number, text: string) => void;
}

/** Largest body that is kept from one phase to the next, bytes. */
const KEPT_BODY_BYTES = 64 * 1024;

/** Runs phases of item handlers as the machine asks; the machine bounds how many (MAX_RUNNING_HANDLERS). */
export class HandlerRunner {
  readonly #parts: HandlerRunnerParts;
  readonly #handlers: ReadonlyMap<string, ItemHandler>;
  /** Bodies that came just now and those of items between their phases, oldest first: each phase of an item gets the same checked bytes. */
  readonly #bodies = new Map<string, Uint8Array>();
  readonly #running = new Map<number, { readonly abort: AbortController; readonly ended: Promise<void> }>();

  constructor(parts: HandlerRunnerParts) {
    this.#parts = parts;
    this.#handlers = new Map(parts.handlers.map((handler) => [handler.kind, handler]));
  }

  /** A body whose digest was checked became durable: who needs it next has it without asking the store. */
  arrived(digest: string, body: Uint8Array): void {
    if (body.length <= KEPT_BODY_BYTES) this.#keep(digest, body);
  }

  run(token: number, phase: HandlerPhase, item: IndexItem): void {
    const abort = new AbortController();
    const ended = this.#phase(token, phase, item, abort.signal).then((nack) => {
      this.#running.delete(token);
      this.#parts.done(token, nack);
    });
    this.#running.set(token, { abort, ended });
  }

  /** A newer version supersedes the item: its signal aborts, the answer still follows. */
  abort(token: number): void {
    this.#running.get(token)?.abort.abort(new Error("a newer version of the item supersedes this one"));
  }

  /** Aborts all and resolves when every handler has returned. */
  async stop(): Promise<void> {
    for (const { abort } of this.#running.values()) abort.abort(new Error("the agent stops"));
    await Promise.all([...this.#running.values()].map(({ ended }) => ended));
  }

  async #phase(
    token: number,
    phase: HandlerPhase,
    item: IndexItem,
    signal: AbortSignal,
  ): Promise<ItemNack | undefined> {
    const handler = this.#handlers.get(item.kind);
    if (handler === undefined)
      return {
        class: Nack_Class.UNSUPPORTED,
        retryable: false,
        reason: "KIND_UNSUPPORTED",
        detail: `items of kind ${item.kind} are not handled by this agent`,
      };
    try {
      const outcome = await this.#invoke(handler, phase, await this.#context(token, phase, item, signal));
      return outcome.ok ? undefined : outcome.nack;
    } catch (error) {
      if (!signal.aborted)
        this.#parts.log.warn({ err: error, item: itemKey(item), version: item.version, phase }, "item handler failed");
      return {
        class: Nack_Class.INTERNAL,
        retryable: true,
        reason: signal.aborted ? "ABORTED" : "HANDLER_FAILED",
        detail: clip(errorMessage(error)),
      };
    }
  }

  #invoke(handler: ItemHandler, phase: HandlerPhase, context: ItemContext): Promise<ItemOutcome> {
    switch (phase) {
      case "verify":
        return handler.verify(context);
      case "apply":
        return handler.apply(context);
      case "healthy":
        return handler.healthy(context);
      case "remove":
        return handler.remove(context);
    }
  }

  async #context(token: number, phase: HandlerPhase, item: IndexItem, signal: AbortSignal): Promise<ItemContext> {
    const { cluster, outbox, waiting } = this.#parts;
    const read = async (digest: string): Promise<Uint8Array> => {
      const body = await outbox.readBlob(digest);
      if (body === undefined) throw new Error(`blob ${digest} is not held`);
      return body;
    };
    let said = "";
    return {
      cluster,
      item,
      body: item.digest === "" ? new Uint8Array() : await this.#body(item.digest, phase, read),
      blobs: { read },
      signal,
      waitingFor: (text) => {
        const clipped = clip(text);
        if (clipped === said || signal.aborted) return;
        said = clipped;
        waiting(token, clipped);
      },
    };
  }

  /** A body is named by its digest, so what was read once is what the store holds. */
  async #body(digest: string, phase: HandlerPhase, read: (digest: string) => Promise<Uint8Array>): Promise<Uint8Array> {
    const body = this.#bodies.get(digest) ?? (await read(digest));
    this.#bodies.delete(digest);
    if (phase !== "healthy" && phase !== "remove" && body.length <= KEPT_BODY_BYTES) this.#keep(digest, body);
    return body;
  }

  #keep(digest: string, body: Uint8Array): void {
    for (const oldest of this.#bodies.keys()) {
      if (this.#bodies.size < MAX_RUNNING_HANDLERS) break;
      this.#bodies.delete(oldest);
    }
    this.#bodies.set(digest, body);
  }
}

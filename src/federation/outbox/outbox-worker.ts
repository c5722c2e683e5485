import { parentPort, workerData } from "node:worker_threads";
import { invariant } from "../../base/assert.ts";
import { type ErrorParts, SeamError, errorMessage } from "../../base/errors.ts";
import { MAX_GROUP, type OutboxOutcome, performGroup } from "./group-commit.ts";
import type { OutboxRequest } from "./outbox-request.ts";
import { OutboxStore } from "./outbox-store.ts";
import type { OutboxStoreOptions } from "./outbox-store-options.ts";
import { type StoreRecovery, finishRecovery, quarantinedStores, recoverStore } from "./recover-store.ts";
import { isCorrupt } from "./store-error.ts";

/** A request with the number its answer repeats. */
export interface WorkerRequest {
  readonly id: number;
  readonly request: OutboxRequest;
}

/** From the main thread. `recover`: something stored cannot be read; `nowMs` is wall time. */
export type ToOutboxWorker = WorkerRequest | "close" | { readonly recover: true; readonly nowMs: number };

/** What the thread is started with. */
export interface OutboxWorkerData extends OutboxStoreOptions {
  /** Wall time, for what is put aside while opening. */
  readonly nowMs: number;
}

/** An error as it crosses threads: a class does not. */
export interface WireError {
  readonly message: string;
  readonly parts: ErrorParts | undefined;
}

/** To the main thread. */
export type FromOutboxWorker =
  | { readonly type: "opened"; readonly recovery: StoreRecovery | undefined; readonly quarantined: readonly string[] }
  | { readonly type: "recovered"; readonly recovery: StoreRecovery }
  | { readonly type: "openFailed"; readonly error: WireError }
  | { readonly type: "answer"; readonly id: number; readonly value: unknown }
  | { readonly type: "failure"; readonly id: number; readonly error: WireError };

if (parentPort !== null) serve(parentPort, workerData as OutboxWorkerData);

function serve(port: NonNullable<typeof parentPort>, options: OutboxWorkerData): void {
  const post = (message: FromOutboxWorker): void => port.postMessage(message);
  let store: OutboxStore;
  try {
    const { store: opened, recovery } = openOrRecover(options);
    store = opened;
    post({ type: "opened", recovery, quarantined: quarantinedStores(options.path) });
  } catch (error) {
    post({ type: "openFailed", error: wireError(error) });
    port.close();
    return;
  }

  let queue: WorkerRequest[] = [];
  let closing = false;
  let scheduled = false;
  const flush = (): void => {
    scheduled = false;
    const group = queue.slice(0, MAX_GROUP);
    queue = queue.slice(MAX_GROUP);
    const outcomes = performGroup(
      store,
      group.map(({ request }) => request),
    );
    for (const [i, { id }] of group.entries()) {
      const outcome: OutboxOutcome | undefined = outcomes[i];
      invariant(outcome !== undefined, "every request has an outcome");
      post(
        outcome.ok
          ? { type: "answer", id, value: outcome.value }
          : { type: "failure", id, error: wireError(outcome.error) },
      );
    }
    if (queue.length > 0) schedule();
    else if (closing) {
      store.close();
      port.close();
    }
  };
  const schedule = (): void => {
    if (scheduled) return;
    scheduled = true;
    // A turn later: every message that has already arrived joins the group.
    setImmediate(flush);
  };
  port.on("message", (message: ToOutboxWorker) => {
    if (message === "close") closing = true;
    else if ("recover" in message) {
      // A failure ends the thread; whoever owns the store opens it again.
      store.close();
      const recovery = recoverStore(options, message.nowMs);
      store = OutboxStore.open(options);
      post({ type: "recovered", recovery });
    } else queue.push(message);
    schedule();
  });
}

/** Opens the store; a damaged one is put aside, and what could be read of its audit log goes on in another. */
function openOrRecover(options: OutboxWorkerData): {
  readonly store: OutboxStore;
  readonly recovery: StoreRecovery | undefined;
} {
  finishRecovery(options.path);
  try {
    return { store: OutboxStore.open(options), recovery: undefined };
  } catch (error) {
    if (!isCorrupt(error)) throw error;
    const recovery = recoverStore(options, options.nowMs);
    return { store: OutboxStore.open(options), recovery };
  }
}

function wireError(error: unknown): WireError {
  return { message: errorMessage(error), parts: error instanceof SeamError ? error.parts : undefined };
}

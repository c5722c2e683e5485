import { parentPort, workerData } from "node:worker_threads";
import { invariant } from "../../base/assert.ts";
import { type ErrorParts, SeamError, errorMessage } from "../../base/errors.ts";
import { MAX_GROUP, type OutboxOutcome, performGroup } from "./group-commit.ts";
import type { OutboxRequest } from "./outbox-request.ts";
import { OutboxStore } from "./outbox-store.ts";
import type { OutboxStoreOptions } from "./outbox-store-options.ts";

/** A request with the number its answer repeats. */
export interface WorkerRequest {
  readonly id: number;
  readonly request: OutboxRequest;
}

/** From the main thread. */
export type ToOutboxWorker = WorkerRequest | "close";

/** An error as it crosses threads: a class does not. */
export interface WireError {
  readonly message: string;
  readonly parts: ErrorParts | undefined;
}

/** To the main thread. */
export type FromOutboxWorker =
  | { readonly type: "opened" }
  | { readonly type: "openFailed"; readonly error: WireError }
  | { readonly type: "answer"; readonly id: number; readonly value: unknown }
  | { readonly type: "failure"; readonly id: number; readonly error: WireError };

if (parentPort !== null) serve(parentPort, workerData as OutboxStoreOptions);

function serve(port: NonNullable<typeof parentPort>, options: OutboxStoreOptions): void {
  const post = (message: FromOutboxWorker): void => port.postMessage(message);
  let store: OutboxStore;
  try {
    store = OutboxStore.open(options);
  } catch (error) {
    post({ type: "openFailed", error: wireError(error) });
    port.close();
    return;
  }
  post({ type: "opened" });

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
    else queue.push(message);
    schedule();
  });
}

function wireError(error: unknown): WireError {
  return { message: errorMessage(error), parts: error instanceof SeamError ? error.parts : undefined };
}

import { parentPort, workerData } from "node:worker_threads";
import { type ErrorParts, SeamError, errorMessage } from "../../base/errors.ts";
import { AuditStore, type SinkBatch } from "./audit-store.ts";

/** From the main thread. */
export type ToAuditWorker =
  | {
      readonly type: "append";
      readonly id: number;
      readonly cluster: string;
      readonly batch: SinkBatch;
      readonly nowMs: number;
    }
  | { readonly type: "position"; readonly id: number; readonly cluster: string; readonly epoch: bigint }
  | { readonly type: "close" };

/** To the main thread. */
export type FromAuditWorker =
  | { readonly type: "opened" }
  | { readonly type: "openFailed"; readonly message: string; readonly parts: ErrorParts | undefined }
  | { readonly type: "answer"; readonly id: number; readonly value: unknown }
  | {
      readonly type: "failure";
      readonly id: number;
      readonly message: string;
      readonly parts: ErrorParts | undefined;
    };

type Request = Exclude<ToAuditWorker, { readonly type: "close" }>;

/** Most requests that share one fsync. */
const MAX_GROUP = 128;

if (parentPort !== null) serve(parentPort, (workerData as { readonly path: string }).path);

function serve(port: NonNullable<typeof parentPort>, path: string): void {
  const post = (message: FromAuditWorker): void => port.postMessage(message);
  let store: AuditStore;
  try {
    store = AuditStore.open(path);
  } catch (error) {
    post({ type: "openFailed", ...described(error) });
    port.close();
    return;
  }
  post({ type: "opened" });
  let queue: Request[] = [];
  let closing = false;
  let scheduled = false;
  const schedule = (): void => {
    if (scheduled) return;
    scheduled = true;
    setImmediate(flush);
  };
  const flush = (): void => {
    scheduled = false;
    const group = queue.slice(0, MAX_GROUP);
    queue = queue.slice(MAX_GROUP);
    for (const answer of performGroup(store, group)) post(answer);
    if (queue.length > 0) schedule();
    else if (closing) {
      store.close();
      port.close();
    }
  };
  port.on("message", (message: ToAuditWorker) => {
    if (message.type === "close") closing = true;
    else queue.push(message);
    schedule();
  });
}

/** All requests in one transaction; when it fails, all of them fail and nothing is kept. */
function performGroup(store: AuditStore, group: readonly Request[]): readonly FromAuditWorker[] {
  try {
    store.begin();
    const answers = group.map((request): FromAuditWorker => ({
      type: "answer",
      id: request.id,
      value:
        request.type === "append"
          ? store.append(request.cluster, request.batch, request.nowMs)
          : store.position(request.cluster, request.epoch),
    }));
    store.commit();
    return answers;
  } catch (error) {
    store.rollback();
    return group.map(({ id }) => ({ type: "failure", id, ...described(error) }));
  }
}

function described(error: unknown): { message: string; parts: ErrorParts | undefined } {
  return { message: errorMessage(error), parts: error instanceof SeamError ? error.parts : undefined };
}

import { parentPort, workerData } from "node:worker_threads";
import { type ErrorParts, SeamError, errorMessage } from "../../base/errors.ts";
import type { AuditChain, AuditScan } from "./audit-log-reader.ts";
import type { ChainState } from "./audit-verification.ts";
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
  | Look
  | { readonly type: "close" };

/** One bounded look at the log, or one step of retention; done between groups of writes. */
export type Look =
  | { readonly type: "scan"; readonly id: number; readonly scan: AuditScan }
  | { readonly type: "newest"; readonly id: number }
  | { readonly type: "chains"; readonly id: number; readonly cluster: string | undefined }
  | { readonly type: "verify"; readonly id: number; readonly chain: AuditChain; readonly state: ChainState | undefined }
  | {
      readonly type: "retain";
      readonly id: number;
      readonly cluster: string;
      readonly epoch: bigint;
      readonly before: string;
      readonly nowMs: number;
    };

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

type Request = Extract<ToAuditWorker, { readonly type: "append" | "position" }>;

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
  const looks: Look[] = [];
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
    if (group.length > 0) for (const answer of performGroup(store, group)) post(answer);
    const look = looks.shift();
    if (look !== undefined) post(perform(store, look));
    if (queue.length > 0 || looks.length > 0) schedule();
    else if (closing) {
      store.close();
      port.close();
    }
  };
  port.on("message", (message: ToAuditWorker) => {
    if (message.type === "close") closing = true;
    else if (message.type === "append" || message.type === "position") queue.push(message);
    else looks.push(message);
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

/** A failed look fails nothing but itself. */
function perform(store: AuditStore, look: Look): FromAuditWorker {
  try {
    return { type: "answer", id: look.id, value: answerTo(store, look) };
  } catch (error) {
    return { type: "failure", id: look.id, ...described(error) };
  }
}

function answerTo(store: AuditStore, look: Look): unknown {
  switch (look.type) {
    case "scan":
      return store.read((reading) => reading.scan(look.scan));
    case "newest":
      return store.read((reading) => reading.newest());
    case "chains":
      return store.read((reading) => reading.chains(look.cluster));
    case "verify":
      return store.read((reading) => reading.verify(look.chain, look.state));
    case "retain":
      return store.retain(look.cluster, look.epoch, look.before, look.nowMs);
  }
}

function described(error: unknown): { message: string; parts: ErrorParts | undefined } {
  return { message: errorMessage(error), parts: error instanceof SeamError ? error.parts : undefined };
}

import { parentPort, workerData } from "node:worker_threads";
import { AuditStore } from "./audit-store.ts";
import { unpackBatch } from "./sink-batch.ts";
import { type FromSinkWorker, type SinkLook, type SinkWrite, type ToSinkWorker, workerError } from "./sink-messages.ts";

/** Most requests that share one fsync. */
const MAX_GROUP = 128;

if (parentPort !== null) serve(parentPort, (workerData as { readonly path: string }).path);

function serve(port: NonNullable<typeof parentPort>, path: string): void {
  const post = (message: FromSinkWorker): void => port.postMessage(message);
  let store: AuditStore;
  try {
    store = AuditStore.open(path);
  } catch (error) {
    post({ type: "openFailed", ...workerError(error) });
    port.close();
    return;
  }
  post({ type: "opened", warnings: [], shared: undefined });
  let queue: SinkWrite[] = [];
  const looks: SinkLook[] = [];
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
  port.on("message", (message: ToSinkWorker) => {
    if (message.type === "close") closing = true;
    else if (message.type === "append" || message.type === "position") queue.push(message);
    else looks.push(message);
    schedule();
  });
}

/** All requests in one transaction; when it fails, all of them fail and nothing is kept. */
function performGroup(store: AuditStore, group: readonly SinkWrite[]): readonly FromSinkWorker[] {
  try {
    store.begin();
    const answers = group.map((request): FromSinkWorker => ({
      type: "answer",
      id: request.id,
      value:
        request.type === "append"
          ? store.append(request.cluster, unpackBatch(request.batch), request.nowMs)
          : store.position(request.cluster, request.epoch),
    }));
    store.commit();
    return answers;
  } catch (error) {
    store.rollback();
    return group.map(({ id }) => ({ type: "failure", id, ...workerError(error) }));
  }
}

/** A failed look fails nothing but itself. */
function perform(store: AuditStore, look: SinkLook): FromSinkWorker {
  try {
    return { type: "answer", id: look.id, value: answerTo(store, look) };
  } catch (error) {
    return { type: "failure", id: look.id, ...workerError(error) };
  }
}

function answerTo(store: AuditStore, look: SinkLook): unknown {
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
    case "quarantine":
      return store.quarantine(look.ask);
    case "probe":
      return store.probe();
    case "sweep":
      return undefined; // a removed row gives its page back at once
  }
}

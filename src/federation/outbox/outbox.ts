import { extname, join } from "node:path";
import { Worker } from "node:worker_threads";
import type { Clock } from "../../base/clock.ts";
import type { Digest } from "../../base/digest.ts";
import { SeamError } from "../../base/errors.ts";
import { uuidV4 } from "../../base/ids.ts";
import type { Random } from "../../base/random.ts";
import type { PendingFact } from "../session/spoke/events.ts";
import type { AuditCursor, SpokeRecord, SpokeWrite } from "../session/spoke/record.ts";
import { AuditAppends } from "./audit-appends.ts";
import type { HeldAuditEvent } from "./audit-log.ts";
import { type OutboxOutcome, performGroup } from "./group-commit.ts";
import type { HeldFact } from "./held-facts.ts";
import { type PackedBatch, unpackBatch } from "../audit/sink-batch.ts";
import { type OutboxRequest, movedWith, packAppend } from "./outbox-request.ts";
import { type AuditAppended, type OutboxStatus, OutboxStore } from "./outbox-store.ts";
import type { OutboxStoreOptions } from "./outbox-store-options.ts";
import type { FromOutboxWorker, OutboxWorkerData, ToOutboxWorker, WireError } from "./outbox-worker.ts";
import type { StoreRecovery } from "./recover-store.ts";
import { isCorrupt } from "./store-error.ts";

/** The agent's durable store as the rest of the agent sees it. Every promise resolves after the group commit that holds the write. */
export interface Outbox {
  /** Applies the writes of one Ready in one transaction. */
  apply(writes: readonly SpokeWrite[]): Promise<void>;
  /** @throws SeamError `TooManyFacts` */
  putFact(fact: Omit<HeldFact, "reportVersion">): Promise<PendingFact>;
  /** @throws SeamError `AuditLogFull` */
  appendAudit(event: Uint8Array, droppable: boolean): Promise<AuditAppended>;
  /** Everything the session machine starts from. */
  record(): Promise<SpokeRecord>;
  loadFacts(keys: readonly string[]): Promise<readonly HeldFact[]>;
  loadAudit(epoch: bigint, from: bigint, maxEvents: number, maxBytes: number): Promise<readonly HeldAuditEvent[]>;
  checkBlob(digest: Digest): Promise<boolean>;
  /** A checked body; undefined when it is not held. */
  readBlob(digest: string): Promise<Uint8Array | undefined>;
  auditCursor(): Promise<AuditCursor>;
  status(): Promise<OutboxStatus>;
  /** Commits what was asked before, releases the lock and the thread. */
  close(): Promise<void>;
}

/** Options of {@link openOutbox}. */
export interface OutboxOptions extends Omit<OutboxStoreOptions, "path" | "storeId" | "auditEpoch"> {
  /** Folder of the store; created with mode 0700. */
  readonly directory: string;
  /** Used when the store is created: epoch of the audit numbering; default Unix seconds. */
  readonly auditEpoch?: bigint;
  /** A damaged store was put aside: while opening, before this resolves, or later. */
  readonly onRecovered?: (recovery: StoreRecovery) => void;
  /** Stores that were put aside earlier and are still there, when it was opened. */
  readonly onQuarantined?: (paths: readonly string[]) => void;
  readonly clock: Clock;
  readonly random: Random;
}

/** Name of the database inside the store's folder. */
export const OUTBOX_FILE = "outbox.db";
/** Most requests that may wait for the worker. */
const MAX_WAITING = 100_000;

/**
 * Opens the store in a worker thread, so that an fsync never delays a heartbeat.
 *
 * @throws SeamError `StoreNewer`, `StoreLocked`, `StoreUnwritable`, `StoreFull`, or `StoreCorrupt` when a damaged store cannot be put aside
 */
export async function openOutbox(options: OutboxOptions): Promise<Outbox> {
  const { directory, clock, random, auditEpoch, onRecovered, onQuarantined, ...rest } = options;
  const path = join(directory, OUTBOX_FILE);
  const own = auditEpoch === undefined ? {} : { auditEpoch };
  const data: OutboxWorkerData = { ...rest, path, ...identity(clock, random), ...own, nowMs: clock.now() };
  const worker = new Worker(new URL(`./outbox-worker${extname(import.meta.url)}`, import.meta.url), {
    workerData: data,
    name: "outbox",
  });
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: unknown): void }>();
  let nextId = 1;
  let ended: SeamError | undefined;
  const exited = new Promise<void>((resolve) => worker.once("exit", () => resolve()));
  const fail = (cause: unknown): void => {
    ended = new SeamError(
      { reason: "StoreClosed", object: path, expected: "an open store", remedy: "restart the agent" },
      { cause },
    );
    for (const { reject } of waiting.values()) reject(ended);
    waiting.clear();
  };

  await new Promise<void>((resolve, reject) => {
    worker.once("error", reject);
    worker.once("message", (message: FromOutboxWorker) => {
      worker.off("error", reject);
      if (message.type === "openFailed") {
        reject(revive(message.error));
        return;
      }
      if (message.type === "opened") {
        if (message.recovery !== undefined) onRecovered?.(message.recovery);
        if (message.quarantined.length > 0) onQuarantined?.(message.quarantined);
      }
      resolve();
    });
  }).catch(async (error: unknown) => {
    await worker.terminate();
    throw error;
  });
  worker.on("error", fail);
  worker.once("exit", () => fail(undefined));
  let recovering = false;
  worker.on("message", (message: FromOutboxWorker) => {
    if (message.type === "recovered") {
      recovering = false;
      onRecovered?.(message.recovery);
      return;
    }
    if (message.type !== "answer" && message.type !== "failure") return;
    const request = waiting.get(message.id);
    waiting.delete(message.id);
    if (message.type === "answer") {
      request?.resolve(message.value);
      return;
    }
    const error = revive(message.error);
    // Before whoever asked: what it asks next is asked of the store that takes this one's place.
    if (isCorrupt(error) && !recovering) {
      recovering = true;
      worker.postMessage({ recover: true, nowMs: clock.now() } satisfies ToOutboxWorker);
    }
    request?.reject(error);
  });

  const ask = (request: OutboxRequest): Promise<unknown> =>
    new Promise((resolve, reject) => {
      if (ended !== undefined) {
        reject(ended);
        return;
      }
      if (waiting.size >= MAX_WAITING) {
        reject(
          new SeamError({
            reason: "StoreOverloaded",
            object: path,
            expected: `at most ${MAX_WAITING} writes waiting for the disk`,
          }),
        );
        return;
      }
      const id = nextId++;
      waiting.set(id, { resolve, reject });
      worker.postMessage({ id, request } satisfies ToOutboxWorker, [...movedWith(request)]);
    });
  return outboxOver(path, ask, clock, async () => {
    if (ended === undefined) worker.postMessage("close" satisfies ToOutboxWorker);
    await exited;
  });
}

/** An outbox in this thread over `:memory:`; for simulations and benches of a thousand agents in one process. Loses all at close. */
export function memoryOutbox(clock: Clock, random: Random, caps: Pick<OutboxStoreOptions, "auditCap"> = {}): Outbox {
  const store = OutboxStore.open({ path: ":memory:", ...caps, ...identity(clock, random) });
  const ask = async (request: OutboxRequest): Promise<unknown> => {
    const [outcome] = performGroup(store, [request]) as [OutboxOutcome];
    if (!outcome.ok) throw outcome.error;
    return outcome.value;
  };
  return outboxOver(":memory:", ask, clock, async () => store.close());
}

function identity(clock: Clock, random: Random): Pick<OutboxStoreOptions, "storeId" | "auditEpoch"> {
  return { storeId: uuidV4(random), auditEpoch: BigInt(Math.floor(clock.now() / 1000)) };
}

function outboxOver(
  path: string,
  ask: (request: OutboxRequest) => Promise<unknown>,
  clock: Clock,
  close: () => Promise<void>,
): Outbox {
  // The worker answers each request with the type its operation returns (group-commit.ts).
  const call = async <T>(request: OutboxRequest): Promise<T> => (await ask(request)) as T;
  const appends = new AuditAppends(
    (events) => call({ op: "appendAudit", events: packAppend(events), nowMs: clock.now() }),
    path,
  );
  return {
    apply: (writes) => call({ op: "apply", writes, nowMs: clock.now() }),
    putFact: (fact) => call({ op: "putFact", key: fact.key, kind: fact.kind, payload: fact.payload }),
    appendAudit: (event, droppable) => appends.append(event, droppable),
    record: () => call({ op: "record" }),
    loadFacts: (keys) => call({ op: "loadFacts", keys }),
    async loadAudit(epoch, from, maxEvents, maxBytes) {
      const packed = await call<PackedBatch>({ op: "loadAudit", epoch, from, maxEvents, maxBytes });
      return unpackBatch(packed).events;
    },
    checkBlob: (digest) => call({ op: "checkBlob", digest }),
    readBlob: (digest) => call({ op: "readBlob", digest }),
    auditCursor: () => call({ op: "auditCursor" }),
    status: () => call({ op: "status" }),
    async close() {
      await appends.settled();
      await close();
    },
  };
}

function revive(error: WireError): Error {
  return error.parts === undefined ? new Error(error.message) : new SeamError(error.parts);
}

import { createHash } from "node:crypto";
import { join } from "node:path";
import type { Clock } from "../../base/clock.ts";
import type { Digest } from "../../base/digest.ts";
import { uuidV4 } from "../../base/ids.ts";
import type { Random } from "../../base/random.ts";
import type { PendingFact } from "../session/spoke/events.ts";
import type { AuditCursor, SpokeRecord, SpokeWrite } from "../session/spoke/record.ts";
import { AuditAppends } from "./audit-appends.ts";
import type { HeldAuditEvent } from "./audit-log.ts";
import { type OutboxOutcome, performGroup } from "./group-commit.ts";
import type { HeldFact } from "./held-facts.ts";
import type { OutboxRequest } from "./outbox-request.ts";
import { type AuditAppended, type OutboxStatus, OutboxStore } from "./outbox-store.ts";
import type { OutboxStoreOptions } from "./outbox-store-options.ts";
import { openOrRecover } from "./open-or-recover.ts";
import { type StoreRecovery, quarantinedStores, recoverStore } from "./recover-store.ts";
import { type OpenedStore, StoreQueue } from "./store-queue.ts";

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
  /** Hashes a wholly held body, some chunks at a time. */
  checkBlob(digest: Digest): Promise<boolean>;
  /** A checked body; undefined when it is not held. */
  readBlob(digest: string): Promise<Uint8Array | undefined>;
  auditCursor(): Promise<AuditCursor>;
  status(): Promise<OutboxStatus>;
  /** Commits what was asked before and releases the lock. */
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
/** Chunks of a body that are hashed in one turn: a millisecond. */
const CHUNKS_AT_ONCE = 4;

/**
 * Opens the store. It works on this thread and waits for the disk off it, so that an fsync never delays a heartbeat.
 *
 * @throws SeamError `StoreNewer`, `StoreLocked`, `StoreUnwritable`, `StoreFull`, or `StoreCorrupt` when a damaged store cannot be put aside
 */
export async function openOutbox(options: OutboxOptions): Promise<Outbox> {
  const { directory, clock, random, auditEpoch, onRecovered, onQuarantined, ...rest } = options;
  const path = join(directory, OUTBOX_FILE);
  const own = auditEpoch === undefined ? {} : { auditEpoch };
  const data: OutboxStoreOptions = { ...rest, path, ...identity(clock, random), ...own };
  const opened = (recovery: StoreRecovery | undefined, store: OutboxStore): OpenedStore => {
    if (recovery !== undefined) onRecovered?.(recovery);
    return { store, disk: store.waitElsewhere() };
  };
  const queue = new StoreQueue(
    {
      open: () => {
        const { recovery, store } = openOrRecover(data, clock.now());
        return opened(recovery, store);
      },
      recover: () => opened(recoverStore(data, clock.now()), OutboxStore.open(data)),
    },
    path,
  );
  const quarantined = quarantinedStores(path);
  if (quarantined.length > 0) onQuarantined?.(quarantined);
  return outboxOver(
    path,
    (request) => queue.ask(request),
    clock,
    () => queue.close(),
  );
}

/** An outbox over `:memory:`; for simulations and benches of a thousand agents in one process. Loses all at close. */
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
  // Each request is answered with the type its operation returns (group-commit.ts).
  const call = async <T>(request: OutboxRequest): Promise<T> => (await ask(request)) as T;
  const appends = new AuditAppends((events) => call({ op: "appendAudit", events, nowMs: clock.now() }), path);
  return {
    apply: (writes) => call({ op: "apply", writes, nowMs: clock.now() }),
    putFact: (fact) => call({ op: "putFact", key: fact.key, kind: fact.kind, payload: fact.payload }),
    appendAudit: (event, droppable) => appends.append(event, droppable),
    record: () => call({ op: "record" }),
    loadFacts: (keys) => call({ op: "loadFacts", keys }),
    loadAudit: (epoch, from, maxEvents, maxBytes) => call({ op: "loadAudit", epoch, from, maxEvents, maxBytes }),
    async checkBlob(digest) {
      const hash = createHash("sha256");
      for (let from = 0; ;) {
        const chunks = await call<readonly Uint8Array[]>({ op: "readChunks", digest, from, most: CHUNKS_AT_ONCE });
        if (chunks.length === 0) return `sha256:${hash.digest("hex")}` === digest;
        for (const chunk of chunks) {
          hash.update(chunk);
          from += chunk.length;
        }
      }
    },
    readBlob: (digest) => call({ op: "readBlob", digest }),
    auditCursor: () => call({ op: "auditCursor" }),
    status: () => call({ op: "status" }),
    async close() {
      await appends.settled();
      await close();
    },
  };
}

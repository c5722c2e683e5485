import { parentPort, workerData } from "node:worker_threads";
import type { AuditResumePoint } from "../../hub/ports.ts";
import { MAX_SEQUENCE } from "../audit-chain.ts";
import {
  type FromSinkWorker,
  type SinkLook,
  type SinkWrite,
  type ToSinkWorker,
  workerError,
} from "../sink-messages.ts";
import { AppendQueue } from "./append-queue.ts";
import { PostgresAppend } from "./postgres-append.ts";
import { PostgresConnections } from "./postgres-connections.ts";
import { migratePostgres, probePostgres, serverWarnings, storeId } from "./postgres-migration.ts";
import { Partitions } from "./postgres-partitions.ts";
import { askQuarantine } from "./postgres-quarantine.ts";
import { PostgresReading } from "./postgres-reading.ts";
import type { PostgresTarget } from "./postgres-target.ts";

/** What the worker is started with. */
export interface PostgresWorkerData {
  readonly target: PostgresTarget;
  /** Connections that store; one group of batches is under way on each. */
  readonly writers: number;
  /** Connections that read, for people and for sessions that open. */
  readonly readers: number;
  /** For the months of the first events, Unix milliseconds. */
  readonly nowMs: number;
}

if (parentPort !== null) void serve(parentPort, workerData as PostgresWorkerData);

async function serve(port: NonNullable<typeof parentPort>, data: PostgresWorkerData): Promise<void> {
  const post = (message: FromSinkWorker): void => port.postMessage(message);
  const writing = new PostgresConnections(data.target, data.writers);
  const looking = new PostgresConnections(data.target, data.readers);
  const partitions = new Partitions(writing);
  const appends = new AppendQueue(new PostgresAppend(writing, partitions), data.writers, post);
  const reading = new PostgresReading(looking);
  try {
    await migratePostgres(writing);
    await partitions.provide(data.nowMs);
    const [warnings, id] = await Promise.all([serverWarnings(looking), storeId(looking)]);
    post({ type: "opened", warnings, shared: `postgres ${id}` });
  } catch (error) {
    await Promise.all([writing.close(), looking.close()]);
    post({ type: "openFailed", ...workerError(error) });
    port.close();
    return;
  }
  const reads = new Set<Promise<void>>();
  const read = async (id: number, work: Promise<unknown>): Promise<void> => {
    try {
      post({ type: "answer", id, value: await work });
    } catch (error) {
      post({ type: "failure", id, ...workerError(error) });
    }
  };
  const close = async (): Promise<void> => {
    await Promise.all([appends.idle(), ...reads]);
    await Promise.all([writing.close(), looking.close()]);
    port.close();
  };
  port.on("message", (message: ToSinkWorker) => {
    if (message.type === "close") void close();
    else if (message.type === "append") appends.push(message);
    else {
      const work = read(message.id, answerTo(reading, partitions, message, writing));
      reads.add(work);
      void work.finally(() => reads.delete(work));
    }
  });
}

async function answerTo(
  reading: PostgresReading,
  partitions: Partitions,
  look: SinkLook | Extract<SinkWrite, { readonly type: "position" }>,
  writing: PostgresConnections,
): Promise<unknown> {
  switch (look.type) {
    case "position": {
      const nothing: AuditResumePoint = { contiguousThrough: 0n, highest: 0n, highestHash: undefined };
      return look.epoch > MAX_SEQUENCE ? nothing : reading.position(look.cluster, look.epoch);
    }
    case "scan":
      return reading.scan(look.scan);
    case "newest":
      return reading.newest();
    case "chains":
      return reading.chains(look.cluster);
    case "verify":
      return reading.verify(look.chain, look.state);
    case "retain":
      return reading.retain(look.cluster, look.epoch, look.before, look.nowMs);
    case "quarantine":
      return askQuarantine(writing, look.ask);
    case "probe":
      return probePostgres(writing);
    case "sweep":
      return partitions.sweep(Date.parse(look.before));
  }
}

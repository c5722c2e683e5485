import type { PoolClient } from "pg";
import type { AuditResumePoint } from "../../hub/ports.ts";
import { answeredLater } from "../asking.ts";
import { CHAIN_START } from "../audit-chain.ts";
import {
  type AuditChain,
  type AuditScan,
  type AuditScanResult,
  MAX_SCANNED,
  type StoredAuditEvent,
} from "../audit-log-reader.ts";
import {
  type ChainState,
  type ChainedEvent,
  type RetainedSlice,
  type VerifiedSlice,
  type Verifying,
  chainStart,
  retainSlice,
  sliceStart,
  verifySlice,
} from "../audit-verification.ts";
import { collectScan, scanKey } from "../scan-rule.ts";
import { LAST_GIVEN, LOWEST_HELD } from "./arrival-horizon.ts";
import type { PostgresConnections } from "./postgres-connections.ts";
import { postgresError } from "./postgres-error.ts";
import { monthStartMs } from "./postgres-partitions.ts";
import { type PostgresRow, bigintOf, bytesOf, isNull, textOf, timeOf } from "./postgres-row.ts";

/** Columns of {@link storedEvent}. */
export const EVENT_COLUMNS =
  "arrival, cluster, epoch, sequence, event_time, received_at, subject, action, resource, decision, event, hash";
/** One snapshot for the statements of one look. */
const BEGIN_LOOK = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/** Reads of the sink's tables, each bounded by {@link MAX_SCANNED} rows; and the floors of retention. */
export class PostgresReading {
  readonly #connections: PostgresConnections;

  constructor(connections: PostgresConnections) {
    this.#connections = connections;
  }

  /** Resume point; zeros when nothing is stored. */
  async position(cluster: string, epoch: bigint): Promise<AuditResumePoint> {
    const [row] = await this.#connections.query(
      `SELECT p.contiguous, p.highest, e.hash FROM seam_audit.positions p LEFT JOIN seam_audit.events e
         ON e.cluster = p.cluster AND e.epoch = p.epoch AND e.sequence = p.highest
       WHERE p.cluster = $1 AND p.epoch = $2`,
      [cluster, String(epoch)],
    );
    if (row === undefined) return { contiguousThrough: 0n, highest: 0n, highestHash: undefined };
    return {
      contiguousThrough: bigintOf(row, "contiguous"),
      highest: bigintOf(row, "highest"),
      highestHash: isNull(row, "hash") ? undefined : bytesOf(row, "hash"),
    };
  }

  /** The highest arrival that no writer can still come below. */
  async newest(): Promise<bigint> {
    return this.#connections.use(async (client) => {
      const { rows: given } = await client.query<PostgresRow>(LAST_GIVEN);
      const { rows: held } = await client.query<PostgresRow>(LOWEST_HELD);
      const [last] = given;
      const [lowest] = held;
      const horizon = last === undefined ? 0n : bigintOf(last, "given");
      if (lowest === undefined || isNull(lowest, "held")) return horizon;
      const floor = bigintOf(lowest, "held");
      return floor < horizon ? floor : horizon;
    });
  }

  async scan(scan: AuditScan): Promise<AuditScanResult> {
    const { filter, order, position } = scan;
    const back = order === "newest";
    const [key, value] = scanKey(filter);
    const values: string[] = [];
    const where: string[] = [];
    if (key !== undefined) where.push(`${key} = $${values.push(value)}`);
    if (position !== undefined) where.push(`arrival ${back ? "<" : ">"} $${values.push(String(position))}`);
    // Whoever follows the log must not pass an event that is still being stored.
    if (!back) where.push(`arrival <= $${values.push(String(await this.newest()))}`);
    const rows = await this.#connections.query(
      `SELECT ${EVENT_COLUMNS} FROM seam_audit.events ${where.length > 0 ? `WHERE ${where.join(" AND ")}` : ""}
       ORDER BY arrival ${back ? "DESC" : "ASC"} LIMIT ${MAX_SCANNED}`,
      values,
    );
    return collectScan(rows.map(storedEvent), scan);
  }

  async chains(cluster: string | undefined): Promise<readonly AuditChain[]> {
    const rows = await this.#connections.query(
      `SELECT p.cluster, p.epoch, p.highest, f.through, f.removed, f.breaks, f.removed_at,
         (SELECT count(*) FROM seam_audit.conflicts c WHERE c.cluster = p.cluster AND c.epoch = p.epoch) AS quarantined
       FROM seam_audit.positions p LEFT JOIN seam_audit.floors f ON f.cluster = p.cluster AND f.epoch = p.epoch
       WHERE $1 = '' OR p.cluster = $1 ORDER BY p.cluster, p.epoch`,
      [cluster ?? ""],
    );
    return rows.map((row) => ({
      cluster: textOf(row, "cluster"),
      epoch: bigintOf(row, "epoch"),
      highest: bigintOf(row, "highest"),
      quarantined: bigintOf(row, "quarantined"),
      floor: isNull(row, "through")
        ? undefined
        : {
            through: bigintOf(row, "through"),
            removed: bigintOf(row, "removed"),
            breaks: bigintOf(row, "breaks"),
            removedAt: timeOf(row, "removed_at"),
          },
    }));
  }

  /** Verifies on from a state, or from the floor. */
  async verify({ cluster, epoch, highest }: AuditChain, from: ChainState | undefined): Promise<VerifiedSlice> {
    return this.#transaction(BEGIN_LOOK, async (client) => {
      const start = sliceStart(await floorOf(client, cluster, epoch), from);
      const rows = await linksOf(client, cluster, epoch, start.next);
      return answer(client, cluster, epoch, verifySlice(start, rows, MAX_SCANNED, highest));
    });
  }

  /**
   * Moves a chain's floor over its oldest events, of months that ended before `before`. Appends to the chain wait; the rows go with
   * their partition (`Partitions.sweep`).
   */
  async retain(cluster: string, epoch: bigint, before: string, nowMs: number): Promise<RetainedSlice> {
    const monthStart = new Date(monthStartMs(Date.parse(before))).toISOString();
    return this.#transaction("BEGIN", async (client) => {
      await client.query("SELECT 1 FROM seam_audit.positions WHERE cluster = $1 AND epoch = $2 FOR UPDATE", [
        cluster,
        String(epoch),
      ]);
      const start = await floorOf(client, cluster, epoch);
      const rows = await linksOf(client, cluster, epoch, start.next);
      const slice = retainSlice(start, rows, MAX_SCANNED, monthStart);
      const { state, removed, done } = await answer(client, cluster, epoch, slice);
      if (removed === 0) return { removed, done: true };
      const through = String(state.next - 1n);
      await client.query("DELETE FROM seam_audit.ranges WHERE cluster = $1 AND epoch = $2 AND last <= $3", [
        cluster,
        String(epoch),
        through,
      ]);
      await client.query(
        `INSERT INTO seam_audit.floors AS f (cluster, epoch, through, hash, removed, breaks, removed_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (cluster, epoch) DO UPDATE SET through = excluded.through, hash = excluded.hash,
           removed = f.removed + excluded.removed, breaks = f.breaks + excluded.breaks, removed_at = excluded.removed_at`,
        [
          cluster,
          String(epoch),
          through,
          state.previous === undefined ? null : Buffer.from(state.previous),
          removed,
          state.breaks,
          new Date(nowMs),
        ],
      );
      return { removed, done };
    });
  }

  async #transaction<T>(begin: string, work: (client: PoolClient) => Promise<T>): Promise<T> {
    try {
      return await this.#connections.transaction(begin, work);
    } catch (error) {
      throw postgresError(error, this.#connections.name);
    }
  }
}

interface LinkRow extends ChainedEvent {
  readonly receivedAt: string;
}

/** The chain's next events from a number on. */
async function linksOf(client: PoolClient, cluster: string, epoch: bigint, from: bigint): Promise<readonly LinkRow[]> {
  const { rows } = await client.query<PostgresRow>(
    `SELECT sequence, event, prev_hash, hash, received_at FROM seam_audit.events
     WHERE cluster = $1 AND epoch = $2 AND sequence >= $3 ORDER BY sequence LIMIT ${MAX_SCANNED}`,
    [cluster, String(epoch), String(from)],
  );
  return rows.map((row) => ({
    sequence: bigintOf(row, "sequence"),
    event: bytesOf(row, "event"),
    prevHash: bytesOf(row, "prev_hash"),
    hash: bytesOf(row, "hash"),
    receivedAt: timeOf(row, "received_at"),
  }));
}

async function floorOf(client: PoolClient, cluster: string, epoch: bigint): Promise<ChainState> {
  const { rows } = await client.query<PostgresRow>(
    "SELECT through, hash FROM seam_audit.floors WHERE cluster = $1 AND epoch = $2",
    [cluster, String(epoch)],
  );
  const [row] = rows;
  if (row === undefined) return chainStart(1n, CHAIN_START);
  return chainStart(bigintOf(row, "through") + 1n, isNull(row, "hash") ? undefined : bytesOf(row, "hash"));
}

function answer<Result>(
  client: PoolClient,
  cluster: string,
  epoch: bigint,
  verifying: Verifying<Result>,
): Promise<Result> {
  return answeredLater(verifying, async (from) => {
    const { rows } = await client.query<PostgresRow>(
      "SELECT max(last) AS last FROM seam_audit.ranges WHERE cluster = $1 AND epoch = $2 AND first <= $3 AND last >= $3",
      [cluster, String(epoch), String(from)],
    );
    const [row] = rows;
    return row === undefined || isNull(row, "last") ? undefined : bigintOf(row, "last");
  });
}

/** An event as it is stored. */
export function storedEvent(row: PostgresRow): StoredAuditEvent {
  return {
    arrival: bigintOf(row, "arrival"),
    cluster: textOf(row, "cluster"),
    epoch: bigintOf(row, "epoch"),
    sequence: bigintOf(row, "sequence"),
    time: textOf(row, "event_time"),
    receivedAt: timeOf(row, "received_at"),
    subject: textOf(row, "subject"),
    action: textOf(row, "action"),
    resource: textOf(row, "resource"),
    decision: textOf(row, "decision"),
    event: bytesOf(row, "event"),
    hash: bytesOf(row, "hash"),
  };
}

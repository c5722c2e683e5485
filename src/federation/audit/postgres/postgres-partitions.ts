import type { PostgresConnections } from "./postgres-connections.ts";
import { faultOf, postgresError } from "./postgres-error.ts";
import { LOCKS } from "./postgres-schema.ts";
import { textOf } from "./postgres-row.ts";

/** A month of UTC, counted from year 0. */
type Month = number;

const NAME = /^events_(\d{4})_(\d{2})$/;
/** Rows that one statement removes from a partition that still holds others. */
const REMOVED_AT_ONCE = 10_000;

/** The months of events, each a partition of its own with its own unique index. */
export class Partitions {
  readonly #connections: PostgresConnections;
  readonly #known = new Set<Month>();

  constructor(connections: PostgresConnections) {
    this.#connections = connections;
  }

  /** Makes room for events that are received at `nowMs`, and for those of the month after. @throws SeamError */
  async provide(nowMs: number): Promise<void> {
    const month = monthOf(nowMs);
    if (this.#known.has(month) && this.#known.has(month + 1)) return;
    try {
      await this.#connections.transaction("BEGIN", async (client) => {
        await client.query(`SELECT pg_advisory_xact_lock(${LOCKS.schema})`);
        for (const each of [month, month + 1]) {
          const { rows } = await client.query<{ there: boolean }>("SELECT to_regclass($1) IS NOT NULL AS there", [
            `seam_audit.${nameOf(each)}`,
          ]);
          if (rows[0]?.there === true) continue;
          await client.query(
            `CREATE TABLE seam_audit.${nameOf(each)} PARTITION OF seam_audit.events
               FOR VALUES FROM ('${startOf(each)}') TO ('${startOf(each + 1)}');
             CREATE UNIQUE INDEX ON seam_audit.${nameOf(each)} (cluster, epoch, sequence)`,
          );
        }
      });
    } catch (error) {
      throw postgresError(error, this.#connections.name);
    }
    this.#known.add(month).add(month + 1);
  }

  /** Forgets what is known: a partition was found missing. */
  forget(): void {
    this.#known.clear();
  }

  /**
   * Gives back the space of removed events in months that ended before `beforeMs`: whole months where nothing is left above a floor,
   * rows where something is. One replica does it at a time.
   */
  async sweep(beforeMs: number): Promise<void> {
    const end = monthOf(beforeMs);
    const names = await this.#connections.query(
      `SELECT c.relname AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
       WHERE i.inhparent = 'seam_audit.events'::regclass ORDER BY 1`,
    );
    for (const row of names) {
      const name = textOf(row, "name");
      const [, year, month] = NAME.exec(name) ?? [];
      if (year === undefined || month === undefined || Number(year) * 12 + Number(month) - 1 >= end) continue;
      await this.#sweepOne(name);
    }
  }

  async #sweepOne(name: string): Promise<void> {
    try {
      for (let done = false; !done;) {
        done = await this.#connections.transaction("BEGIN", async (client) => {
          const { rows: locked } = await client.query<{ mine: boolean }>(
            `SELECT pg_try_advisory_xact_lock(${LOCKS.sweep}) AS mine`,
          );
          if (locked[0]?.mine !== true) return true;
          const { rows: left } = await client.query(
            `SELECT 1 FROM seam_audit.${name} e
             WHERE NOT EXISTS (SELECT 1 FROM seam_audit.floors f
               WHERE f.cluster = e.cluster AND f.epoch = e.epoch AND f.through >= e.sequence) LIMIT 1`,
          );
          if (left.length === 0) {
            await client.query(`DROP TABLE seam_audit.${name}`);
            return true;
          }
          const { rowCount } = await client.query(
            `DELETE FROM seam_audit.${name} WHERE ctid = ANY (ARRAY(
               SELECT e.ctid FROM seam_audit.${name} e JOIN seam_audit.floors f
                 ON f.cluster = e.cluster AND f.epoch = e.epoch AND f.through >= e.sequence LIMIT ${REMOVED_AT_ONCE}))`,
          );
          return (rowCount ?? 0) < REMOVED_AT_ONCE;
        });
      }
    } catch (error) {
      if (faultOf(error) === "race") return; // the next round does it
      throw postgresError(error, this.#connections.name);
    }
  }
}

/** Start of the month that holds a time, Unix milliseconds: retention removes whole months. */
export function monthStartMs(atMs: number): number {
  return Date.parse(startOf(monthOf(atMs)));
}

function monthOf(atMs: number): Month {
  const date = new Date(atMs);
  return date.getUTCFullYear() * 12 + date.getUTCMonth();
}

function startOf(month: Month): string {
  return new Date(Date.UTC(Math.floor(month / 12), month % 12)).toISOString();
}

function nameOf(month: Month): string {
  return `events_${String(Math.floor(month / 12)).padStart(4, "0")}_${String((month % 12) + 1).padStart(2, "0")}`;
}

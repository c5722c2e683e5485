import type { PoolClient } from "pg";
import {
  MAX_QUARANTINE_PAGE,
  type QuarantineAsk,
  type QuarantineEntry,
  type QuarantineKey,
  QuarantineRoom,
  quarantineDigest,
} from "../quarantine.ts";
import type { QuarantinedEvent as PlannedQuarantine } from "./append-plan.ts";
import type { PostgresConnections } from "./postgres-connections.ts";
import { postgresError } from "./postgres-error.ts";
import { EVENT_COLUMNS, storedEvent } from "./postgres-reading.ts";
import { type PostgresRow, bigintOf, bytesOf, textOf, timeOf } from "./postgres-row.ts";

const ENTRY = "cluster, epoch, sequence, digest, code, received_at, octet_length(event)::bigint AS bytes";
const KEY = "cluster = $1 AND epoch = $2 AND sequence = $3 AND digest = $4";

/**
 * Keeps refused events, within the transaction that stores their batch; what finds no room is counted. Clusters take turns by the row of
 * their overflow, so that replicas hold the bound together.
 */
export async function quarantineEvents(client: PoolClient, refused: readonly PlannedQuarantine[]): Promise<void> {
  const clusters = [...new Set(refused.map(({ cluster }) => cluster))].sort();
  await client.query(
    `INSERT INTO seam_audit.quarantine_overflows (cluster) SELECT * FROM unnest($1::text[]) AS w (cluster) ORDER BY 1
     ON CONFLICT DO NOTHING`,
    [clusters],
  );
  await client.query(
    "SELECT 1 FROM seam_audit.quarantine_overflows WHERE cluster = ANY ($1::text[]) ORDER BY cluster FOR UPDATE",
    [clusters],
  );
  const { rows } = await client.query<PostgresRow>(
    `SELECT w.cluster, count(c.epoch) AS entries, coalesce(sum(octet_length(c.event)), 0)::bigint AS bytes
     FROM unnest($1::text[]) AS w (cluster) LEFT JOIN seam_audit.conflicts c ON c.cluster = w.cluster GROUP BY w.cluster`,
    [clusters],
  );
  const rooms = new Map(
    rows.map((row) => [
      textOf(row, "cluster"),
      new QuarantineRoom(Number(bigintOf(row, "entries")), Number(bigintOf(row, "bytes"))),
    ]),
  );
  const candidates = new Map<string, PlannedQuarantine & { readonly digest: Uint8Array }>();
  for (const entry of refused) {
    const digest = quarantineDigest(entry.event);
    candidates.set(keyText({ ...entry, sequence: entry.event.sequence, digest }), { ...entry, digest });
  }
  const known = await knownKeys(client, [...candidates.values()]);
  const kept: (PlannedQuarantine & { readonly digest: Uint8Array })[] = [];
  const overflowed = new Map<string, number>();
  for (const [key, entry] of candidates) {
    if (known.has(key)) continue; // it was sent before
    const { cluster, event } = entry;
    if (rooms.get(cluster)?.take(event.event.length) === true) kept.push(entry);
    else overflowed.set(cluster, (overflowed.get(cluster) ?? 0) + 1);
  }
  if (kept.length > 0)
    await client.query(
      `INSERT INTO seam_audit.conflicts (cluster, epoch, sequence, digest, code, received_at, event, prev_hash, hash)
       SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bytea[], $5::text[], $6::timestamptz[], $7::bytea[], $8::bytea[],
         $9::bytea[]) ON CONFLICT DO NOTHING`,
      [
        ...keyArrays(kept),
        kept.map(({ code }) => code),
        kept.map(({ receivedMs }) => new Date(receivedMs)),
        kept.map(({ event }) => Buffer.from(event.event)),
        kept.map(({ event }) => Buffer.from(event.prevHash)),
        kept.map(({ event }) => Buffer.from(event.hash)),
      ],
    );
  if (overflowed.size > 0)
    await client.query(
      `UPDATE seam_audit.quarantine_overflows o SET overflowed = o.overflowed + w.more
       FROM unnest($1::text[], $2::bigint[]) AS w (cluster, more) WHERE o.cluster = w.cluster`,
      [[...overflowed.keys()], [...overflowed.values()].map(String)],
    );
}

/** What people ask of the quarantine, and the removal of one entry. */
export async function askQuarantine(connections: PostgresConnections, ask: QuarantineAsk): Promise<unknown> {
  switch (ask.op) {
    case "page": {
      const { cluster = "", epoch = 0n, sequence = 0n, digest = new Uint8Array() } = ask.after ?? {};
      const rows = await connections.query(
        `SELECT ${ENTRY} FROM seam_audit.conflicts
         WHERE ($1 = '' OR cluster = $1) AND (cluster, epoch, sequence, digest) > ($2, $3::bigint, $4::bigint, $5::bytea)
         ORDER BY cluster, epoch, sequence, digest LIMIT ${Math.min(ask.limit, MAX_QUARANTINE_PAGE)}`,
        [ask.cluster ?? "", cluster, String(epoch), String(sequence), Buffer.from(digest)],
      );
      return rows.map(entryOf);
    }
    case "totals": {
      const rows = await connections.query(
        `SELECT w.cluster, count(c.epoch) AS entries, coalesce(sum(octet_length(c.event)), 0)::bigint AS bytes,
           coalesce(max(o.overflowed), 0)::bigint AS overflowed
         FROM (SELECT cluster FROM seam_audit.conflicts UNION SELECT cluster FROM seam_audit.quarantine_overflows) w
           LEFT JOIN seam_audit.conflicts c ON c.cluster = w.cluster
           LEFT JOIN seam_audit.quarantine_overflows o ON o.cluster = w.cluster
         WHERE $1 = '' OR w.cluster = $1 GROUP BY w.cluster ORDER BY w.cluster`,
        [ask.cluster ?? ""],
      );
      return rows.map((row) => ({
        cluster: textOf(row, "cluster"),
        entries: bigintOf(row, "entries"),
        bytes: bigintOf(row, "bytes"),
        overflowed: bigintOf(row, "overflowed"),
      }));
    }
    case "event": {
      const [row] = await connections.query(
        `SELECT ${ENTRY}, event, prev_hash, hash FROM seam_audit.conflicts WHERE ${KEY}`,
        keyValues(ask.key),
      );
      if (row === undefined) return undefined;
      const [stored] = await connections.query(
        `SELECT ${EVENT_COLUMNS} FROM seam_audit.events WHERE cluster = $1 AND epoch = $2 AND sequence = $3`,
        keyValues(ask.key).slice(0, 3),
      );
      return {
        ...entryOf(row),
        event: bytesOf(row, "event"),
        hash: bytesOf(row, "hash"),
        prevHash: bytesOf(row, "prev_hash"),
        stored: stored === undefined ? undefined : storedEvent(stored),
      };
    }
    case "release": {
      try {
        return await connections.transaction("BEGIN", async (client) => {
          const { rowCount } = await client.query(`DELETE FROM seam_audit.conflicts WHERE ${KEY}`, keyValues(ask.key));
          return rowCount === 1;
        });
      } catch (error) {
        throw postgresError(error, connections.name);
      }
    }
  }
}

async function knownKeys(
  client: PoolClient,
  candidates: readonly (PlannedQuarantine & { readonly digest: Uint8Array })[],
): Promise<ReadonlySet<string>> {
  const { rows } = await client.query<PostgresRow>(
    `SELECT c.cluster, c.epoch, c.sequence, c.digest FROM seam_audit.conflicts c
     JOIN unnest($1::text[], $2::bigint[], $3::bigint[], $4::bytea[]) AS w (cluster, epoch, sequence, digest)
       ON c.cluster = w.cluster AND c.epoch = w.epoch AND c.sequence = w.sequence AND c.digest = w.digest`,
    keyArrays(candidates),
  );
  return new Set(
    rows.map((row) =>
      keyText({
        cluster: textOf(row, "cluster"),
        epoch: bigintOf(row, "epoch"),
        sequence: bigintOf(row, "sequence"),
        digest: bytesOf(row, "digest"),
      }),
    ),
  );
}

function keyText({ cluster, epoch, sequence, digest }: QuarantineKey): string {
  return `${cluster} ${epoch} ${sequence} ${Buffer.from(digest).toString("hex")}`;
}

function keyArrays(
  entries: readonly (PlannedQuarantine & { readonly digest: Uint8Array })[],
): [readonly string[], readonly string[], readonly string[], readonly Buffer[]] {
  return [
    entries.map(({ cluster }) => cluster),
    entries.map(({ epoch }) => String(epoch)),
    entries.map(({ event }) => String(event.sequence)),
    entries.map(({ digest }) => Buffer.from(digest)),
  ];
}

function keyValues({ cluster, epoch, sequence, digest }: QuarantineKey): (string | Buffer)[] {
  return [cluster, String(epoch), String(sequence), Buffer.from(digest)];
}

function entryOf(row: PostgresRow): QuarantineEntry {
  return {
    cluster: textOf(row, "cluster"),
    epoch: bigintOf(row, "epoch"),
    sequence: bigintOf(row, "sequence"),
    digest: bytesOf(row, "digest"),
    code: textOf(row, "code"),
    receivedAt: timeOf(row, "received_at"),
    bytes: Number(bigintOf(row, "bytes")),
  };
}

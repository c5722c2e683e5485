import { Client } from "pg";
import { systemClock } from "../../src/base/clock.ts";
import { CHAIN_START, auditHash } from "../../src/federation/audit/audit-chain.ts";
import { judgeEvent } from "../../src/federation/audit/judge-event.ts";
import { canonicalJson } from "../../src/base/canonical-json.ts";
import { CopyEvents, type EventRow } from "../../src/federation/audit/postgres/copy-rows.ts";
import { openPostgresAuditSink } from "../../src/federation/audit/postgres/postgres-audit-sink.ts";
import type { SinkEvent } from "../../src/federation/audit/sink-batch.ts";
import { batchOf } from "../../test/support/audit-events.ts";
import type { PostgresServer } from "../../test/support/postgres-server.ts";
import { median } from "../report/statistics.ts";
import { decision } from "./decision.ts";

/** One way into the same server. */
export interface RowFigures {
  readonly what: string;
  readonly perSecond: number;
  /** Against raw COPY. */
  readonly ratio: number;
}

/** Events of one commit, in all three ways. */
const GROUP = 2_000;
const BATCH = 100;
const CLUSTERS = GROUP / BATCH;

/**
 * The PostgreSQL sink by itself beside the same rows written raw to the same server: COPY of rows that were encoded before, into a table with
 * the same indexes, and an INSERT of arrays. The sink checks each event's form and hash, locks chains and moves positions besides.
 */
export async function postgresRowsBench(
  server: PostgresServer,
  runs: number,
  events: number,
): Promise<readonly RowFigures[]> {
  const groups = Math.ceil(events / GROUP);
  const batches = makeBatches(groups);
  const seen = { copy: [] as number[], insert: [] as number[], sink: [] as number[] };
  for (let run = 0; run < runs; run++) {
    const name = `rows${run}`;
    const target = await server.database(name);
    const sink = await openPostgresAuditSink({ target, clock: systemClock });
    const client = new Client({
      host: target.host,
      port: target.port,
      user: target.user,
      database: name,
      password: "",
    });
    await client.connect();
    const rows = batches.map((group) => group.flatMap(({ cluster, events: each }) => rowsOf(cluster, each)));
    const time = async (work: () => Promise<unknown>): Promise<number> => {
      const started = performance.now();
      await work();
      return (groups * GROUP * 1000) / (performance.now() - started);
    };
    seen.copy.push(
      await time(async () => {
        for (const group of rows) await client.query(new CopyEvents(group)).finished;
      }),
    );
    await client.query("TRUNCATE seam_audit.events");
    seen.insert.push(
      await time(async () => {
        for (const group of rows) await client.query(INSERT, columns(group));
      }),
    );
    await client.query("TRUNCATE seam_audit.events");
    seen.sink.push(
      await time(async () => {
        for (const group of batches)
          await Promise.all(group.map(({ cluster, events: each }) => sink.append(cluster, batchOf(1n, each))));
      }),
    );
    await sink.close();
    await client.end();
  }
  const figure = (what: string, values: readonly number[]): RowFigures => ({
    what,
    perSecond: median(values),
    ratio: median(values.map((value, run) => value / (seen.copy[run] ?? Number.NaN))),
  });
  return [figure("raw COPY", seen.copy), figure("raw INSERT of arrays", seen.insert), figure("the sink", seen.sink)];
}

const INSERT = `INSERT INTO seam_audit.events (cluster, epoch, sequence, event_id, event_time, received_at, subject, action, resource, decision,
  event, prev_hash, hash) SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::timestamptz[], $7::text[],
  $8::text[], $9::text[], $10::text[], $11::bytea[], $12::bytea[], $13::bytea[])`;

function columns(rows: readonly EventRow[]): unknown[][] {
  return [
    rows.map(({ cluster }) => cluster),
    rows.map(({ epoch }) => String(epoch)),
    rows.map(({ event }) => String(event.sequence)),
    rows.map((row) => row.columns.eventId),
    rows.map((row) => row.columns.time),
    rows.map(({ receivedMs }) => new Date(receivedMs)),
    rows.map((row) => row.columns.subject),
    rows.map((row) => row.columns.action),
    rows.map((row) => row.columns.resource),
    rows.map((row) => row.columns.decision),
    rows.map(({ event }) => Buffer.from(event.event)),
    rows.map(({ event }) => Buffer.from(event.prevHash)),
    rows.map(({ event }) => Buffer.from(event.hash)),
  ];
}

function rowsOf(cluster: string, events: readonly SinkEvent[]): EventRow[] {
  return events.map((event) => {
    const judged = judgeEvent(cluster, event);
    if (judged.fault !== undefined) throw new Error(judged.fault);
    return { cluster, epoch: 1n, event, columns: judged.columns, receivedMs: systemClock.now() };
  });
}

/** Groups of one batch from each cluster, the chains going on from group to group. */
function makeBatches(groups: number): { cluster: string; events: SinkEvent[] }[][] {
  const chains = Array.from({ length: CLUSTERS }, () => ({ next: 1n, previous: CHAIN_START }));
  let number = 0;
  return Array.from({ length: groups }, () =>
    chains.map((chain, at) => ({
      cluster: `tenant-${at}`,
      events: Array.from({ length: BATCH }, () => {
        const event = Buffer.from(canonicalJson({ ...decision(number++), clusterId: `tenant-${at}` }));
        const prevHash = chain.previous;
        const sequence = chain.next;
        chain.previous = auditHash(prevHash, sequence, event);
        chain.next += 1n;
        return { sequence, event, prevHash, hash: chain.previous };
      }),
    })),
  );
}

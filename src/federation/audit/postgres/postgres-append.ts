import type { PoolClient } from "pg";
import type { AuditAppendResult, AuditSinkPosition } from "../../hub/ports.ts";
import { answeredLater } from "../asking.ts";
import { type ContiguityAnswer, type ContiguityQuestion, contiguousThrough, followedBy } from "../contiguity.ts";
import {
  AppendGroup,
  type AppendPlan,
  type ChainRange,
  type Existing,
  type KnownChain,
  type PendingBatch,
  type PlannedChain,
  chainKey,
} from "./append-plan.ts";
import { CopyEvents } from "./copy-rows.ts";
import { BEGIN_APPEND } from "./arrival-horizon.ts";
import type { PostgresConnections } from "./postgres-connections.ts";
import { type PostgresFault, faultOf, postgresError } from "./postgres-error.ts";
import { quarantineEvents } from "./postgres-quarantine.ts";
import type { Partitions } from "./postgres-partitions.ts";
import { type PostgresRow, bigintOf, bytesOf, textOf } from "./postgres-row.ts";

/** Tries of one group within one request; the session tries again after that. */
const MAX_TRIES = 5;
/** Chains whose rows are known to exist; beyond it the memory starts anew. */
const MAX_KNOWN = 100_000;

/** How a batch of a group ended. */
export type AppendOutcome =
  | { readonly ok: true; readonly value: AuditAppendResult }
  | { readonly ok: false; readonly error: Error };

/**
 * Stores groups of batches, each group in one transaction that any number of replicas may race: the row of a chain in `positions` is
 * locked first, so a superseded owner of a session and the new one take turns, and the later one finds what the earlier stored.
 */
export class PostgresAppend {
  readonly #connections: PostgresConnections;
  readonly #partitions: Partitions;
  readonly #known = new Set<string>();

  constructor(connections: PostgresConnections, partitions: Partitions) {
    this.#connections = connections;
    this.#partitions = partitions;
  }

  /** Settles every batch, none of which arrived before `oldestMs` or a month after it: fulfilled when it is durable, rejected with a SeamError when nothing of it is stored. */
  async append(batches: readonly PendingBatch[], oldestMs: number): Promise<readonly AppendOutcome[]> {
    const group = new AppendGroup(batches);
    let suspicious = false;
    for (let tries = 1; ; tries++) {
      try {
        await this.#partitions.provide(oldestMs);
        return (await this.#store(group, suspicious)).map((value) => ({ ok: true, value }));
      } catch (error) {
        const fault: PostgresFault = error instanceof ChainForgotten ? "race" : faultOf(error);
        this.#known.clear();
        if (fault === "partition") this.#partitions.forget();
        // A table that was restored without the other: positions are not believed, every number is looked up.
        suspicious ||= fault === "duplicate";
        // One tenant's nonsense must not fail the group it shares with others.
        if (fault === "data" && batches.length > 1)
          return (await Promise.all(batches.map((batch) => this.append([batch], oldestMs)))).flat();
        if (fault === "store" || fault === "data" || tries >= MAX_TRIES)
          return batches.map(() => ({ ok: false, error: postgresError(error, this.#connections.name) }));
      }
    }
  }

  async #store(group: AppendGroup, suspicious: boolean): Promise<readonly AuditAppendResult[]> {
    const chains = group.chains;
    if (chains.length === 0) return group.keys().map((_, at) => rejectedOnly(group, at));
    return this.#connections.transaction(BEGIN_APPEND, async (client) => {
      const known = await this.#lock(client, chains);
      const asked = group.questionable(known, suspicious);
      const plan = group.plan(asked.length === 0 ? NOTHING : await lookUp(client, asked));
      await write(client, plan);
      const positions = await advance(client, plan.chains, known);
      return group.keys().map((key, at) => {
        const { contiguousThrough, highest } = (key === undefined ? undefined : positions.get(key)) ?? NOWHERE;
        return { contiguousThrough, highest, rejected: plan.rejected[at] ?? [] };
      });
    });
  }

  /** Locks the chains' rows in one order, after those that are missing were made: two groups never wait for each other. */
  async #lock(
    client: PoolClient,
    chains: readonly { readonly cluster: string; readonly epoch: bigint }[],
  ): Promise<ReadonlyMap<string, KnownChain>> {
    const unknown = chains.filter(({ cluster, epoch }) => !this.#known.has(chainKey(cluster, epoch)));
    if (unknown.length > 0)
      await client.query(
        `INSERT INTO seam_audit.positions (cluster, epoch) SELECT * FROM unnest($1::text[], $2::bigint[]) ON CONFLICT DO NOTHING`,
        columnsOf(unknown),
      );
    const { rows } = await client.query<PostgresRow>(
      `SELECT p.cluster, p.epoch, p.contiguous, p.highest FROM seam_audit.positions p
       JOIN unnest($1::text[], $2::bigint[]) AS w (cluster, epoch) ON p.cluster = w.cluster AND p.epoch = w.epoch
       ORDER BY p.cluster, p.epoch FOR UPDATE OF p`,
      columnsOf(chains),
    );
    if (rows.length < chains.length) throw new ChainForgotten();
    if (this.#known.size + unknown.length > MAX_KNOWN) this.#known.clear();
    const found = new Map<string, KnownChain>();
    for (const row of rows) {
      const key = chainKey(textOf(row, "cluster"), bigintOf(row, "epoch"));
      found.set(key, { contiguous: bigintOf(row, "contiguous"), highest: bigintOf(row, "highest") });
      this.#known.add(key);
    }
    return found;
  }
}

/** A row of `positions` that was seen before is gone: somebody removed it, or the transaction that made it was undone. */
class ChainForgotten extends Error {
  override readonly name = "ChainForgotten";
}

const NOWHERE: AuditSinkPosition = { contiguousThrough: 0n, highest: 0n };
const NOTHING: Existing = { hash: () => undefined, floor: () => 0n };

function columnsOf(
  chains: readonly { readonly cluster: string; readonly epoch: bigint }[],
): [readonly string[], readonly string[]] {
  return [chains.map(({ cluster }) => cluster), chains.map(({ epoch }) => String(epoch))];
}

/** The lock is held: what is found now is all there is. */
async function lookUp(client: PoolClient, asked: readonly ChainRange[]): Promise<Existing> {
  const values = [...columnsOf(asked), asked.map(({ from }) => String(from))];
  const { rows } = await client.query<PostgresRow>(
    `SELECT e.cluster, e.epoch, e.sequence, e.hash FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS w (cluster, epoch, sequence)
     JOIN seam_audit.events e ON e.cluster = w.cluster AND e.epoch = w.epoch AND e.sequence = w.sequence`,
    values,
  );
  const hashes = new Map<string, Uint8Array>();
  for (const row of rows)
    hashes.set(
      `${chainKey(textOf(row, "cluster"), bigintOf(row, "epoch"))} ${textOf(row, "sequence")}`,
      bytesOf(row, "hash"),
    );
  const { rows: found } = await client.query<PostgresRow>(
    `SELECT f.cluster, f.epoch, f.through FROM seam_audit.floors f
     JOIN (SELECT DISTINCT * FROM unnest($1::text[], $2::bigint[])) AS w (cluster, epoch) ON f.cluster = w.cluster AND f.epoch = w.epoch`,
    values.slice(0, 2),
  );
  const floors = new Map<string, bigint>();
  for (const row of found)
    floors.set(chainKey(textOf(row, "cluster"), bigintOf(row, "epoch")), bigintOf(row, "through"));
  return {
    hash: (cluster, epoch, sequence) => hashes.get(`${chainKey(cluster, epoch)} ${sequence}`),
    floor: (cluster, epoch) => floors.get(chainKey(cluster, epoch)) ?? 0n,
  };
}

async function write(client: PoolClient, plan: AppendPlan): Promise<void> {
  if (plan.rows.length > 0) await client.query(new CopyEvents(plan.rows)).finished;
  if (plan.quarantined.length > 0) await quarantineEvents(client, plan.quarantined);
  if (plan.ranges.length > 0)
    await client.query(
      `INSERT INTO seam_audit.ranges (cluster, epoch, first, last)
       SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[]) ON CONFLICT DO NOTHING`,
      [...columnsOf(plan.ranges), plan.ranges.map(({ from }) => String(from)), plan.ranges.map(({ to }) => String(to))],
    );
}

/** Moves the positions of the chains over what was written. */
async function advance(
  client: PoolClient,
  chains: readonly PlannedChain[],
  known: ReadonlyMap<string, KnownChain>,
): Promise<ReadonlyMap<string, AuditSinkPosition>> {
  const positions = new Map<string, AuditSinkPosition>();
  const moved: { cluster: string; epoch: bigint; to: AuditSinkPosition }[] = [];
  for (const { cluster, epoch, added } of chains) {
    const key = chainKey(cluster, epoch);
    const { contiguous = 0n, highest = 0n } = known.get(key) ?? {};
    const before = { contiguousThrough: contiguous, highest };
    const to =
      added === undefined
        ? before
        : (followedBy(before, added) ?? (await walk(client, cluster, epoch, before, added.last)));
    positions.set(key, to);
    if (to.contiguousThrough !== contiguous || to.highest !== highest) moved.push({ cluster, epoch, to });
  }
  if (moved.length > 0)
    await client.query(
      `UPDATE seam_audit.positions p SET contiguous = w.contiguous, highest = w.highest
       FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[]) AS w (cluster, epoch, contiguous, highest)
       WHERE p.cluster = w.cluster AND p.epoch = w.epoch`,
      [
        ...columnsOf(moved),
        moved.map(({ to }) => String(to.contiguousThrough)),
        moved.map(({ to }) => String(to.highest)),
      ],
    );
  return positions;
}

async function walk(
  client: PoolClient,
  cluster: string,
  epoch: bigint,
  before: AuditSinkPosition,
  last: bigint,
): Promise<AuditSinkPosition> {
  const contiguous = await answeredLater(contiguousThrough(before.contiguousThrough), (question) =>
    look(client, cluster, epoch, question),
  );
  const highest = [before.highest, last, contiguous].reduce((a, b) => (a > b ? a : b));
  return { contiguousThrough: contiguous, highest };
}

async function look(
  client: PoolClient,
  cluster: string,
  epoch: bigint,
  question: ContiguityQuestion,
): Promise<ContiguityAnswer> {
  if (question.ask === "present") {
    const { rows } = await client.query<PostgresRow>(
      "SELECT sequence FROM seam_audit.events WHERE cluster = $1 AND epoch = $2 AND sequence > $3 ORDER BY sequence LIMIT 1000",
      [cluster, String(epoch), String(question.after)],
    );
    return rows.map((row) => bigintOf(row, "sequence"));
  }
  const { rows } = await client.query<PostgresRow>(
    `SELECT last FROM seam_audit.ranges WHERE cluster = $1 AND epoch = $2 AND first <= $3 AND last >= $3 ORDER BY last DESC LIMIT 1`,
    [cluster, String(epoch), String(question.number)],
  );
  return rows.map((row) => bigintOf(row, "last"));
}

function rejectedOnly(group: AppendGroup, at: number): AuditAppendResult {
  return { contiguousThrough: 0n, highest: 0n, rejected: group.plan(NOTHING).rejected[at] ?? [] };
}

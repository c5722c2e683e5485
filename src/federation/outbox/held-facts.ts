import type { DatabaseSync } from "node:sqlite";
import { SeamError } from "../../base/errors.ts";
import { MAX_FACT_KEYS } from "../session/limits.ts";
import type { StatePayload } from "../session/payload.ts";
import type { PendingFact } from "../session/spoke/events.ts";
import { type Row, bigintOf, bytesOf, prepareBigint, textOf } from "./row.ts";

/** A report as the store holds it: without its version, which is a column. */
export interface HeldFact extends PendingFact {
  readonly payload: Uint8Array;
}

/** Reports that no hub has acknowledged. */
const PENDING = "payload IS NOT NULL AND acked < report_version";

/** The state lane inside the agent's store: the newest report of each key, with its counter and what a hub acknowledged of it. */
export class HeldFacts {
  readonly #statements;
  readonly #object: string;

  /** @param object what errors call the store */
  constructor(db: DatabaseSync, object: string) {
    this.#object = object;
    this.#statements = {
      fact: prepareBigint(db, "SELECT kind, report_version, acked, payload FROM facts WHERE key = ?"),
      count: prepareBigint(db, "SELECT count(*) AS n FROM facts"),
      countPending: prepareBigint(db, `SELECT count(*) AS n FROM facts WHERE ${PENDING}`),
      pending: prepareBigint(db, `SELECT key, kind, report_version FROM facts WHERE ${PENDING} ORDER BY key`),
      put: prepareBigint(
        db,
        "INSERT INTO facts (key, kind, report_version, payload) VALUES (?, ?, 1, ?) ON CONFLICT (key) DO UPDATE SET kind = excluded.kind, report_version = report_version + 1, payload = excluded.payload RETURNING report_version",
      ),
      // The body stays: a hub that lost its store asks for it again.
      acknowledge: db.prepare("UPDATE facts SET acked = max(acked, ?2) WHERE key = ?1 AND report_version >= ?2"),
      reopen: db.prepare("UPDATE facts SET acked = 0 WHERE payload IS NOT NULL"),
    };
  }

  /** Stores the newest report of a key and returns it as pending. @throws SeamError `TooManyFacts` */
  put(key: string, kind: StatePayload["case"], payload: Uint8Array): PendingFact {
    if (this.#statements.fact.get(key) === undefined) {
      const held = bigintOf(this.#statements.count.get() as Row, "n");
      if (held >= BigInt(MAX_FACT_KEYS))
        throw new SeamError({
          reason: "TooManyFacts",
          object: this.#object,
          expected: `at most ${MAX_FACT_KEYS} different reports`,
        });
    }
    const row = this.#statements.put.get(key, kind, payload) as Row;
    return { key, kind, reportVersion: bigintOf(row, "report_version") };
  }

  acknowledge(key: string, reportVersion: bigint): void {
    this.#statements.acknowledge.run(key, reportVersion);
  }

  /** A hub lost its store: every report is pending again, with the version it had. */
  reopen(): void {
    this.#statements.reopen.run();
  }

  pending(): readonly PendingFact[] {
    return (this.#statements.pending.all() as Row[]).map((row) => ({
      key: textOf(row, "key"),
      kind: kindOf(row),
      reportVersion: bigintOf(row, "report_version"),
    }));
  }

  get pendingCount(): number {
    return Number(bigintOf(this.#statements.countPending.get() as Row, "n"));
  }

  /** The newest pending report of each key; keys that are gone are left out. */
  load(keys: readonly string[]): readonly HeldFact[] {
    const held: HeldFact[] = [];
    for (const key of keys) {
      const row = this.#statements.fact.get(key) as Row | undefined;
      if (row === undefined || row["payload"] === null) continue;
      const reportVersion = bigintOf(row, "report_version");
      if (bigintOf(row, "acked") >= reportVersion) continue;
      held.push({ key, kind: kindOf(row), reportVersion, payload: bytesOf(row, "payload") });
    }
    return held;
  }
}

function kindOf(row: Row): StatePayload["case"] {
  return textOf(row, "kind") as StatePayload["case"];
}

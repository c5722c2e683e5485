import { DatabaseSync } from "node:sqlite";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { type ItemReport, ItemReportSchema } from "../../src/api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import { itemKey } from "../../src/federation/index/index-document.ts";
import { type SignedEnvelope, decodeEnvelope, encodeEnvelope } from "../../src/trust/dsse.ts";

/**
 * What the cluster behind a hub keeps when the hub is killed: the signed index of each tenant and the levels that its agent reported.
 * SQLite that survives the end of the process, not of the machine; the bench measures the hub, not the API server behind it.
 */
export class DurableState {
  readonly #db: DatabaseSync;
  readonly #statements;

  /** Opens or creates the file. */
  constructor(path: string) {
    this.#db = new DatabaseSync(path);
    this.#db.exec(`
      PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;
      CREATE TABLE IF NOT EXISTS indexes (cluster TEXT PRIMARY KEY, envelope BLOB NOT NULL) STRICT;
      CREATE TABLE IF NOT EXISTS levels (cluster TEXT, item TEXT, report BLOB NOT NULL, PRIMARY KEY (cluster, item)) STRICT, WITHOUT ROWID;
    `);
    this.#statements = {
      putIndex: this.#db.prepare("INSERT OR REPLACE INTO indexes VALUES (?, ?)"),
      index: this.#db.prepare("SELECT envelope FROM indexes WHERE cluster = ?"),
      putLevel: this.#db.prepare("INSERT OR REPLACE INTO levels VALUES (?, ?, ?)"),
      levels: this.#db.prepare("SELECT report FROM levels WHERE cluster = ?"),
    };
  }

  /** All or nothing. */
  transaction(work: () => void): void {
    this.#db.exec("BEGIN");
    work();
    this.#db.exec("COMMIT");
  }

  putIndex(cluster: string, envelope: SignedEnvelope): void {
    this.#statements.putIndex.run(cluster, encodeEnvelope(envelope));
  }

  /** The newest index of a tenant, not verified. */
  index(cluster: string): SignedEnvelope | undefined {
    const row = this.#statements.index.get(cluster);
    return row === undefined ? undefined : decodeEnvelope(bytesOf(row["envelope"]));
  }

  putLevels(cluster: string, reports: readonly ItemReport[]): void {
    for (const report of reports)
      this.#statements.putLevel.run(cluster, itemKey(report), toBinary(ItemReportSchema, report));
  }

  levels(cluster: string): readonly ItemReport[] {
    return this.#statements.levels.all(cluster).map((row) => fromBinary(ItemReportSchema, bytesOf(row["report"])));
  }
}

function bytesOf(value: unknown): Uint8Array {
  if (!(value instanceof Uint8Array)) throw new Error("the bench's state file does not hold what was written");
  return value;
}

import type { DatabaseSync, SQLOutputValue, StatementSync } from "node:sqlite";
import { invariant } from "../../base/assert.ts";

/** One row as node:sqlite returns it. */
export type Row = Record<string, SQLOutputValue>;

/** Prepares a statement whose integers are read as bigint: counters are 64-bit. */
export function prepareBigint(db: DatabaseSync, sql: string): StatementSync {
  const statement = db.prepare(sql);
  statement.setReadBigInts(true);
  return statement;
}

export function bigintOf(row: Row, column: string): bigint {
  const value = row[column];
  invariant(typeof value === "bigint", `column ${column} is an integer`);
  return value;
}

export function textOf(row: Row, column: string): string {
  const value = row[column];
  invariant(typeof value === "string", `column ${column} is text`);
  return value;
}

export function bytesOf(row: Row, column: string): Uint8Array {
  const value = row[column];
  invariant(value instanceof Uint8Array, `column ${column} is a blob`);
  return value;
}

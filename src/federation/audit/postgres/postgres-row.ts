import { invariant } from "../../../base/assert.ts";

/** One row as the driver returns it: 64-bit integers as text, bytea as a Buffer, timestamps as Date. */
export type PostgresRow = Readonly<Record<string, unknown>>;

export function textOf(row: PostgresRow, column: string): string {
  const value = row[column];
  invariant(typeof value === "string", `column ${column} is text`);
  return value;
}

export function bigintOf(row: PostgresRow, column: string): bigint {
  return BigInt(textOf(row, column));
}

export function bytesOf(row: PostgresRow, column: string): Uint8Array {
  const value = row[column];
  invariant(value instanceof Uint8Array, `column ${column} is bytea`);
  return value;
}

/** A timestamp in RFC 3339 with milliseconds, UTC. */
export function timeOf(row: PostgresRow, column: string): string {
  const value = row[column];
  invariant(value instanceof Date, `column ${column} is a timestamp`);
  return value.toISOString();
}

/** True when the column is NULL. */
export function isNull(row: PostgresRow, column: string): boolean {
  return row[column] === null;
}

import { availableParallelism } from "node:os";
import { table } from "./table.ts";

/** One line of a result table. */
export interface Row {
  /** Id of the scenario, as in docs/performance.md; empty where a bench has one only. */
  readonly scenario: string;
  readonly what: string;
  readonly unit: string;
  readonly ours: number;
  /** The peer or floor in this run; absent where there is nothing to compare with. */
  readonly floor?: number;
  /** What it should be, for people. */
  readonly goal: string;
  readonly met: boolean | undefined;
  readonly note?: string;
}

/** Prints rows as a table, their notes, and what stands beside ours. */
export function printRows(rows: readonly Row[], beside: string): void {
  const number = (value: number | undefined, unit: string): string =>
    value === undefined ? "" : `${value.toFixed(Math.abs(value) < 10 ? 1 : 0)}${unit === "" ? "" : ` ${unit}`}`;
  const cells = rows.map((row) => [
    row.scenario === "" ? row.what : `${row.scenario}  ${row.what}`,
    number(row.ours, row.unit),
    number(row.floor, row.unit),
    row.floor === undefined ? "" : `${(row.ours / row.floor).toFixed(2)}x`,
    row.goal,
    row.met === undefined ? "" : row.met ? "met" : "missed",
  ]);
  console.log(table(["what", "ours", "beside it", "ratio", "goal", ""], cells));
  console.log();
  for (const { what, note } of rows) if (note !== undefined) console.log(`${what}: ${note}`);
  console.log(`\n${availableParallelism()} cores, loopback. ${beside}`);
}

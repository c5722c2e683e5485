/** One column of an aligned table. */
export interface Column<Row> {
  readonly header: string;
  readonly value: (row: Row) => string;
  /** Numbers read best right-aligned. */
  readonly align?: "right";
}

/** Width of `text` on a terminal, without ANSI sequences. */
export function visibleWidth(text: string): number {
  // oxlint-disable-next-line no-control-regex -- ANSI sequences start with the escape character
  return text.replace(/\u001b\[[0-9;]*m/g, "").length;
}

/** Rows under upper-case headers, columns separated by three spaces as kubectl prints them; no trailing blanks. */
export function renderTable<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string {
  return new TableStream().print(columns, rows);
}

/** A table whose rows come one after another: the header stands above the first and again wherever columns had to grow. */
export class TableStream {
  #widths: readonly number[] = [];

  /** Text of more rows of the same columns. */
  print<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string {
    const cells = rows.map((row) => columns.map((column) => column.value(row).replaceAll("\n", " ")));
    const before = this.#widths;
    const widths = columns.map((column, at) =>
      Math.max(before[at] ?? column.header.length, ...cells.map((line) => visibleWidth(line[at] ?? ""))),
    );
    this.#widths = widths;
    const line = (texts: readonly string[]): string =>
      texts
        .map((text, at) => {
          const padding = " ".repeat(Math.max(0, (widths[at] ?? 0) - visibleWidth(text)));
          return columns[at]?.align === "right" ? padding + text : text + padding;
        })
        .join("   ")
        .trimEnd();
    const grown = widths.some((width, at) => width !== before[at]);
    const header = grown ? [line(columns.map((column) => column.header.toUpperCase()))] : [];
    return [...header, ...cells.map(line)].join("\n");
  }
}

/** Age as kubectl prints it: `5s`, `3m`, `2h`, `4d`. */
export function age(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 120) return `${seconds}s`;
  if (seconds < 2 * 3600) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 48 * 3600) return `${Math.floor(seconds / 3600)}h`;
  return `${Math.floor(seconds / 86_400)}d`;
}

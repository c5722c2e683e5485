import { visibleWidth } from "./table.ts";

/** Size of a terminal in cells. */
export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

/** One line of a picture. */
export interface Line {
  readonly text: string;
  /** What a person copies goes on in the next row; everything else is cut at the edge. */
  readonly wraps?: boolean;
}

const ESC = "\u001b[";
/** Smallest width that is drawn to; a narrower terminal sees cut lines. */
const MIN_COLUMNS = 20;

const BLANK: readonly Line[] = [{ text: "" }];

/** Rows that a line takes on a terminal of that width. */
function rowsOf(line: Line, columns: number): number {
  return line.wraps === true ? Math.max(1, Math.ceil(visibleWidth(line.text) / columns)) : 1;
}

function cut(line: Line, columns: number): string {
  return line.wraps === true || line.text.length <= columns ? line.text : `${line.text.slice(0, columns - 1)}…`;
}

/**
 * The lines of `lines` that fit: sections are given in order of reading and dropped from the one that can best be spared, named by
 * `spare`, the first first. What is left is cut at the last row.
 */
export function fit(sections: readonly (readonly Line[])[], spare: readonly number[], size: TerminalSize): Line[] {
  const columns = Math.max(MIN_COLUMNS, size.columns);
  const dropped = new Set<number>();
  const kept = (): Line[] =>
    sections
      .filter((section, at) => section.length > 0 && !dropped.has(at))
      .flatMap((section, at) => (at === 0 ? section : BLANK.concat(section)));
  const height = (lines: readonly Line[]): number => lines.reduce((sum, line) => sum + rowsOf(line, columns), 0);
  // The cursor rests in a row of its own below the picture.
  const room = Math.max(1, size.rows - 1);
  for (const at of spare) {
    if (height(kept()) <= room) break;
    dropped.add(at);
  }
  const lines: Line[] = [];
  let used = 0;
  for (const line of kept()) {
    used += rowsOf(line, columns);
    if (used > room) break;
    lines.push(line);
  }
  return lines;
}

/** A picture at the cursor that is drawn over again in place. The last one stays when nothing more is drawn. */
export class LiveRegion {
  #rows = 0;
  #size: TerminalSize | undefined;
  #last = "";

  /** Text that shows `lines` in place of what was drawn before; empty when nothing changed. The lines must {@link fit}. */
  draw(lines: readonly Line[], size: TerminalSize): string {
    const columns = Math.max(MIN_COLUMNS, size.columns);
    const picture = lines.map((line) => `${cut(line, columns)}\n`).join("");
    const resized = this.#size !== undefined && (this.#size.columns !== size.columns || this.#size.rows !== size.rows);
    if (picture === this.#last && !resized) return "";
    // Terminals reflow what stands there when they are resized, each in its own way: start on a clean screen.
    const back = resized ? `${ESC}H${ESC}2J` : this.#rows > 0 ? `\r${ESC}${this.#rows}A` : "";
    this.#rows = lines.reduce((sum, line) => sum + rowsOf(line, columns), 0);
    this.#size = size;
    this.#last = picture;
    return `${back}${ESC}0J${picture}`;
  }
}

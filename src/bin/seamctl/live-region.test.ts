import { describe, expect, it } from "vitest";
import { type Line, LiveRegion, type TerminalSize, fit } from "./live-region.ts";

/** As much of a terminal as the region uses: a grid, a cursor, wrapping, scrolling. */
class Terminal {
  readonly size: TerminalSize;
  readonly scrolledOff: string[] = [];
  #grid: string[];
  #row = 0;
  #column = 0;

  constructor(columns: number, rows: number) {
    this.size = { columns, rows };
    this.#grid = Array.from({ length: rows }, () => "");
  }

  get shown(): readonly string[] {
    return this.#grid.map((row) => row.trimEnd()).slice(0, this.#row + 1);
  }

  write(text: string): void {
    // oxlint-disable-next-line no-control-regex -- ANSI sequences start with the escape character
    for (const part of text.match(/\u001b\[\d*[A-Z]|[^]/g) ?? []) this.#one(part);
  }

  #one(part: string): void {
    const move = /^.\[(\d*)([A-Z])$/.exec(part);
    if (move !== null) this.#control(move[2] ?? "", Number(move[1] || 1));
    else if (part === "\n") this.#down();
    else if (part === "\r") this.#column = 0;
    else {
      if (this.#column === this.size.columns) this.#down();
      const row = this.#grid[this.#row] ?? "";
      this.#grid[this.#row] = row.slice(0, this.#column).padEnd(this.#column) + part + row.slice(this.#column + 1);
      this.#column += 1;
    }
  }

  #control(command: string, count: number): void {
    if (command === "A") this.#row = Math.max(0, this.#row - count);
    else if (command === "H") this.#row = this.#column = 0;
    else if (command === "J") {
      const from = count === 2 ? 0 : this.#row + 1;
      if (count !== 2) this.#grid[this.#row] = (this.#grid[this.#row] ?? "").slice(0, this.#column);
      for (let row = from; row < this.size.rows; row++) this.#grid[row] = "";
    }
  }

  #down(): void {
    this.#column = 0;
    this.#row += 1;
    if (this.#row < this.size.rows) return;
    this.scrolledOff.push(this.#grid.shift() ?? "");
    this.#grid.push("");
    this.#row -= 1;
  }
}

const lines = (...texts: readonly string[]): Line[] => texts.map((text) => ({ text }));

describe("LiveRegion", () => {
  it("draws over the last picture, longer or shorter", () => {
    const terminal = new Terminal(30, 10);
    const region = new LiveRegion();
    for (const picture of [lines("a long line", "b", "c"), lines("a"), lines("x", "y")])
      terminal.write(region.draw(picture, terminal.size));
    expect(terminal.shown).toEqual(["x", "y", ""]);
  });

  it("counts the rows of a line that wraps and cuts one that does not", () => {
    const terminal = new Terminal(20, 10);
    const region = new LiveRegion();
    const command = "npx seamctl agents --watch";
    for (const end of ["1", "2"]) {
      const picture = [{ text: command, wraps: true }, { text: "x".repeat(25) }, { text: end }];
      terminal.write(region.draw(picture, terminal.size));
    }
    expect(terminal.shown).toEqual([command.slice(0, 20), command.slice(20), `${"x".repeat(19)}…`, "2", ""]);
  });

  it("writes nothing when nothing changed, and clears the screen when it was resized", () => {
    const region = new LiveRegion();
    expect(region.draw(lines("a"), { columns: 80, rows: 24 })).not.toBe("");
    expect(region.draw(lines("a"), { columns: 80, rows: 24 })).toBe("");
    expect(region.draw(lines("a"), { columns: 60, rows: 24 })).toContain("\u001b[2J");
  });
});

describe("fit", () => {
  const sections = [lines("head"), lines("agent 1", "agent 2"), lines("try this"), lines("event"), lines("foot")];

  it("keeps everything that has room, a blank row between sections", () => {
    expect(fit(sections, [3, 2], { columns: 80, rows: 24 }).map((line) => line.text)).toEqual([
      "head",
      "",
      "agent 1",
      "agent 2",
      "",
      "try this",
      "",
      "event",
      "",
      "foot",
    ]);
  });

  it("drops what can be spared, in that order, and never scrolls", () => {
    for (const rows of [2, 3, 5, 8, 9, 10, 11]) {
      const terminal = new Terminal(40, rows);
      const region = new LiveRegion();
      const picture = fit(sections, [3, 2], terminal.size);
      for (const end of ["", "again"])
        terminal.write(region.draw([...picture.slice(0, -1), { text: end }], terminal.size));
      expect(terminal.scrolledOff).toEqual([]);
    }
    const texts = (rows: number) => fit(sections, [3, 2], { columns: 80, rows }).map((line) => line.text);
    expect(texts(10)).not.toContain("event");
    expect(texts(10)).toContain("try this");
    expect(texts(8)).not.toContain("try this");
    expect(texts(8)).toContain("foot");
  });
});

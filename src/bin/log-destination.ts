import { writeSync } from "node:fs";

/** Writes bytes and says how many of them; throws as `fs.writeSync` does. */
export type WriteBytes = (bytes: Uint8Array) => number;

const NEWLINE = 0x0a;

/**
 * Where log lines go: written at once, so that a crash loses none, and given up when they cannot be written. A disk that is full or a
 * reader that is gone must never stop the work; the first line that can be written again says how many were lost.
 */
export class LogDestination {
  readonly #write: WriteBytes;
  #lost = 0;
  /** True when a line was cut: the next starts on a line of its own. */
  #torn = false;

  constructor(write: WriteBytes = (bytes) => writeSync(1, bytes)) {
    this.#write = write;
  }

  /** Takes one line with its end. */
  write(line: string): void {
    if (this.#lost > 0 && !this.#put(`{"level":40,"lost":${this.#lost},"msg":"log lines could not be written"}\n`)) {
      this.#lost += 1;
      return;
    }
    this.#lost = this.#put(line) ? 0 : 1;
  }

  #put(line: string): boolean {
    const bytes = Buffer.from(this.#torn ? `\n${line}` : line, "utf8");
    try {
      const written = this.#write(bytes);
      if (written > 0) this.#torn = bytes[written - 1] !== NEWLINE;
      return written === bytes.length;
    } catch {
      return false; // counted, and said as soon as anything can be said
    }
  }
}

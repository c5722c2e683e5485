import { closeSync, fstatSync, openSync, renameSync, writeSync } from "node:fs";

/** Longest line; a longer one is split, as the container runtime interface does. */
const MAX_LINE_BYTES = 16 * 1024;
/** Last bytes of the output that are kept for the message of a failure. */
const TAIL_BYTES = 1024;

/**
 * Output of a program in a file: `time stream F|P text` a line, as kubelets store it. At its limit the file becomes `.old` and a new one
 * begins, so that the newest half is always there. A full disk loses output, never the program.
 */
export class BoundedLog {
  readonly #file: string;
  readonly #maxBytes: number;
  readonly #now: () => string;
  #descriptor: number;
  #bytes: number;
  #tail = "";
  readonly #partial = { stdout: "", stderr: "" };

  /** @param maxBytes of both files together; @param now RFC 3339 with fractions */
  constructor(file: string, maxBytes: number, now: () => string) {
    this.#file = file;
    this.#maxBytes = maxBytes;
    this.#now = now;
    this.#descriptor = openSync(file, "a", 0o600);
    this.#bytes = fstatSync(this.#descriptor).size;
  }

  /** The end of the output so far, at most 1 KiB. */
  get tail(): string {
    return this.#tail;
  }

  write(stream: "stdout" | "stderr", text: string): void {
    this.#tail = (this.#tail + text).slice(-TAIL_BYTES);
    let rest = this.#partial[stream] + text;
    for (let end = rest.indexOf("\n"); end >= 0; end = rest.indexOf("\n")) {
      this.#line(stream, "F", rest.slice(0, end));
      rest = rest.slice(end + 1);
    }
    while (rest.length > MAX_LINE_BYTES) {
      this.#line(stream, "P", rest.slice(0, MAX_LINE_BYTES));
      rest = rest.slice(MAX_LINE_BYTES);
    }
    this.#partial[stream] = rest;
  }

  #line(stream: string, tag: "F" | "P", text: string): void {
    const line = Buffer.from(`${this.#now()} ${stream} ${tag} ${text}\n`);
    try {
      if (this.#bytes + line.length > this.#maxBytes / 2) this.#rotate();
      writeSync(this.#descriptor, line);
      this.#bytes += line.length;
    } catch {
      // No space: this line is lost, and the next one tries again.
    }
  }

  #rotate(): void {
    renameSync(this.#file, `${this.#file}.old`);
    closeSync(this.#descriptor);
    this.#descriptor = openSync(this.#file, "a", 0o600);
    this.#bytes = 0;
  }

  /** Writes what has no line end yet. */
  close(): void {
    for (const stream of ["stdout", "stderr"] as const) {
      if (this.#partial[stream] !== "") this.#line(stream, "F", this.#partial[stream]);
    }
    closeSync(this.#descriptor);
  }
}

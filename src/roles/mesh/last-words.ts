import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { isJsonObject } from "../../base/json.ts";

/** Part of a log that is looked at, bytes. */
const TAIL_BYTES = 4 * 1024;
/** Longest text that is shown of it, characters. */
const MAX_SHOWN = 300;

/**
 * What a failed process wrote last, for the screen: the message of its last log line, or the line itself; empty when it wrote nothing
 * since the log had `fromBytes` bytes. Reads only the end of the file.
 */
export function lastWords(logFile: string, fromBytes: number): string {
  const file = openSync(logFile, "r");
  try {
    const { size } = fstatSync(file);
    const start = Math.max(fromBytes, size - TAIL_BYTES);
    if (start >= size) return "";
    const tail = Buffer.alloc(size - start);
    readSync(file, tail, 0, tail.length, start);
    const line = tail.toString("utf8").trimEnd().split("\n").at(-1) ?? "";
    return messageOf(line).slice(0, MAX_SHOWN);
  } finally {
    closeSync(file);
  }
}

function messageOf(line: string): string {
  try {
    const record: unknown = JSON.parse(line);
    if (isJsonObject(record)) {
      const texts = ["msg", "reason", "error"].map((field) => record[field]).filter((text) => typeof text === "string");
      if (texts.length > 0) return texts.join(": ");
    }
  } catch {
    // not a log line: whatever a crashing runtime or the program itself says
  }
  return line;
}

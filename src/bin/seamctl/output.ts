import { type DescEnum, type DescMessage, type MessageShape, toJsonString } from "@bufbuild/protobuf";
import { type Timestamp, timestampDate } from "@bufbuild/protobuf/wkt";
import type { TerminalSize } from "./live-region.ts";
import { age } from "./table.ts";

/** Where a command writes, so that tests can read it. */
export interface Output {
  out(text: string): void;
  err(text: string): void;
  /** Text as it is, without a line end: what moves the cursor. */
  raw(text: string): void;
  readonly isTerminal: boolean;
  /** Of the terminal, now. */
  size(): TerminalSize;
}

/** What a command decided; becomes the exit code: 0 yes, 1 no or failed. */
export type Verdict = "yes" | "no";

/** Protobuf JSON of a service answer, as `-o json` prints it: one document, two-space indent. */
export function messageJson<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): string {
  return toJsonString(schema, message, { prettySpaces: 2, alwaysEmitImplicit: true });
}

/** Age of a timestamp for a table; `-` when unset. */
export function ageOf(timestamp: Timestamp | undefined, nowMs: number): string {
  return timestamp === undefined ? "-" : age(nowMs - timestampDate(timestamp).getTime());
}

/** Time of day of a timestamp with its date, local to nobody: RFC 3339 in UTC. */
export function timeOf(timestamp: Timestamp | undefined): string {
  return timestamp === undefined
    ? "-"
    : timestampDate(timestamp)
        .toISOString()
        .replace(/\.\d+Z$/, "Z");
}

/** Short form of a digest for a table. */
export function shortDigest(digest: string): string {
  return digest.startsWith("sha256:") ? digest.slice(7, 19) : digest || "-";
}

/** Name of an enum value without its prefix, `NOT_OWNED`; the number when this build does not know it. */
export function enumName(schema: DescEnum, value: number): string {
  return schema.value[value]?.localName ?? String(value);
}

/** {@link enumName} as people say it: `not owned`. */
export function enumWords(schema: DescEnum, value: number): string {
  return enumName(schema, value).toLowerCase().replaceAll("_", " ");
}

import type { Command } from "commander";
import type { Clock } from "../../base/clock.ts";
import type { Random } from "../../base/random.ts";
import type { TargetOptions } from "./mesh-file.ts";
import type { Output, Verdict } from "./output.ts";

/** What every command gets from its program. */
export interface CommandContext {
  readonly output: Output;
  readonly clock: Clock;
  readonly random: Random;
  /** Aborts on Ctrl-C. */
  readonly signal: AbortSignal;
  /** Environment handed to child processes of `up`. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Reports a command's verdict; the program turns it into the exit code. */
  finish(verdict: Verdict): void;
}

/** Flags shared by commands that read a mesh. */
export interface ReadOptions<Format extends string = "table" | "json"> extends TargetOptions {
  readonly output: Format;
}

/** Adds the flags by which a command finds its mesh. */
export function withTarget(command: Command): Command {
  return command
    .option("--dir <directory>", "state directory of the mesh", ".seam")
    .option("--server <host:port>", "talk to this server instead of the mesh in --dir")
    .option("--ca <file>", "with --server: PEM bundle that signs the server's certificate")
    .option("--cert <file>", "with --server: PEM client certificate")
    .option("--key <file>", "with --server: PEM private key");
}

/** Adds {@link withTarget} and `-o`; `wide` for a table that has more to say. */
export function withRead(command: Command, wide: "wide" | "" = ""): Command {
  const tables = wide === "" ? ["table"] : ["table", wide];
  return withTarget(command).option(
    "-o, --output <format>",
    `${tables.join(", ")} or json (protobuf JSON of the service's answer)`,
    formatParser(tables),
    "table",
  );
}

/** Reads the value of `-o`. @throws UsageError */
export const parseFormat: (text: string) => string = formatParser(["table"]);

function formatParser(tables: readonly string[]): (text: string) => string {
  return (text) => {
    if (text === "json" || tables.includes(text)) return text;
    throw new UsageError(`-o must be ${tables.join(", ")} or json, found ${JSON.stringify(text)}`);
  };
}

/** The command line itself is wrong: exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

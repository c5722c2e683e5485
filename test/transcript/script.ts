/** One command of a transcript. */
export interface Command {
  readonly name: string;
  /** `key=value` words. */
  readonly args: ReadonlyMap<string, string>;
  /** Words without `=`. */
  readonly words: readonly string[];
  /** A JSON object at the end of the line. */
  readonly json: string;
}

/** Something that obeys commands and says what happened: one machine. */
export interface Driver {
  run(command: Command): readonly string[];
}

/**
 * Runs a transcript and returns it with the outputs as they are now. Blocks are separated by blank lines: comment lines (`#`), one
 * command, `----`, its output. The file is right when the result equals it.
 */
export function runTranscript(text: string, driver: Driver): string {
  const blocks: string[] = [];
  for (const block of text.trim().split(/\n\s*\n/)) {
    const lines = block.split("\n");
    const comments = lines.filter((line) => line.startsWith("#"));
    const line = lines.find((other) => !other.startsWith("#"));
    if (line === undefined) {
      blocks.push(comments.join("\n"));
      continue;
    }
    const output = driver.run(parseCommand(line));
    const shown = output.length === 0 ? ["nothing"] : output;
    blocks.push([...comments, line, "----", ...shown].join("\n"));
  }
  return `${blocks.join("\n\n")}\n`;
}

function parseCommand(line: string): Command {
  const brace = line.indexOf(" {");
  const json = brace < 0 ? "" : line.slice(brace + 1);
  const [name = "", ...rest] = (brace < 0 ? line : line.slice(0, brace)).trim().split(/\s+/);
  const args = new Map<string, string>();
  const words: string[] = [];
  for (const word of rest) {
    const at = word.indexOf("=");
    if (at < 0) words.push(word);
    else args.set(word.slice(0, at), word.slice(at + 1));
  }
  return { name, args, words, json };
}

/** A numeric argument. */
export function numberArg(command: Command, name: string, fallback: number): number {
  const text = command.args.get(name);
  return text === undefined ? fallback : Number(text);
}

/** A counter argument. */
export function bigArg(command: Command, name: string, fallback: bigint): bigint {
  const text = command.args.get(name);
  return text === undefined ? fallback : BigInt(text);
}

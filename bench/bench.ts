/** One bench: a folder beside this file. `node bench/main.ts NAME [flags]` runs it. */
export interface Bench {
  readonly name: string;
  /** One line for the overview. */
  readonly summary: string;
  /** Flags and what they mean, for `NAME --help`. */
  readonly usage: string;
  /** @param args what followed the name; throws a TypeError of `parseArgs` for unknown flags */
  run(args: readonly string[]): Promise<void>;
}

#!/usr/bin/env node
import { readFileSync } from "node:fs";
import { systemClock } from "../base/clock.ts";
import { systemRandom } from "../base/random.ts";
import { runSeamctl } from "./seamctl/program.ts";

/** `seamctl`: what people type. Ctrl-C aborts whatever runs; a second one ends at once. */
const stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => {
    if (stop.signal.aborted) process.exit(130);
    stop.abort(new Error(`stopped by ${signal}`));
  });
}
// A reader that goes away (`seamctl agents | head -1`) is no error.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  throw error;
});

const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
  readonly version: string;
};

process.exitCode = await runSeamctl(
  process.argv.slice(2),
  {
    output: {
      out: (text) => process.stdout.write(`${text}\n`),
      err: (text) => process.stderr.write(`${text}\n`),
      raw: (text) => process.stdout.write(text),
      isTerminal: process.stdout.isTTY === true,
      size: () => ({ columns: process.stdout.columns || 80, rows: process.stdout.rows || 24 }),
    },
    clock: systemClock,
    random: systemRandom,
    signal: stop.signal,
    env: process.env,
  },
  version,
);

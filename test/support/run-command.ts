import { systemClock } from "../../src/base/clock.ts";
import { systemRandom } from "../../src/base/random.ts";
import { runSeamctl } from "../../src/bin/seamctl/program.ts";

/** Runs one seamctl command line in this process and hands back what a person sees. */
export async function runCommand(
  ...args: readonly string[]
): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
  let out = "";
  let err = "";
  const parts = {
    output: {
      out: (text: string) => void (out += `${text}\n`),
      err: (text: string) => void (err += `${text}\n`),
      raw: (text: string) => void (out += text),
      isTerminal: false,
      size: () => ({ columns: 80, rows: 24 }),
    },
    clock: systemClock,
    random: systemRandom,
    signal: new AbortController().signal,
    env: {},
  };
  const code = await runSeamctl(args, parts, "1.2.3");
  return { code, out, err };
}

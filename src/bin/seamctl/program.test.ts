import type { Command } from "commander";
import { describe, expect, it } from "vitest";
import { runCommand } from "../../../test/support/run-command.ts";
import { systemClock } from "../../base/clock.ts";
import { systemRandom } from "../../base/random.ts";
import { createProgram } from "./program.ts";

/** Paths of a command and all below it. */
function paths(command: Command, path: readonly string[] = []): readonly (readonly string[])[] {
  return [path, ...command.commands.flatMap((child) => paths(child, [...path, child.name()]))];
}

const program = createProgram(
  {
    output: {
      out: () => undefined,
      err: () => undefined,
      raw: () => undefined,
      isTerminal: false,
      size: () => ({ columns: 80, rows: 24 }),
    },
    clock: systemClock,
    random: systemRandom,
    signal: new AbortController().signal,
    env: {},
    finish: () => undefined,
  },
  "1.2.3",
);

describe("seamctl", () => {
  it.each(paths(program).map((path) => path.join(" ")))("helps with an example: %s --help", async (path) => {
    const { code, out } = await runCommand(...path.split(" ").filter((word) => word !== ""), "--help");
    expect(code).toBe(0);
    expect(out).toMatch(/Examples?:\n {2}(npm run tour|source <\(seamctl|seamctl )/);
    expect(out.split("\n").filter((line) => line.length > 150)).toEqual([]);
  });

  it.each([
    [["frobnicate"], "unknown command 'frobnicate'"],
    [["up", "--tenants", "51"], '--tenants must be an integer from 1 to 50, found "51"'],
    [["agents", "-o", "yaml"], `-o must be table, wide or json, found "yaml"`],
    [["receipts", "-o", "wide"], `-o must be table or json, found "wide"`],
    [["pack", "list", "-o", "yaml"], '-o must be table or json, found "yaml"'],
    [["can-i", "get", "pods"], "required option '--as <principal>' not specified"],
    [["explain", "tenant-1"], "missing required argument 'item'"],
    [["completion", "tcsh"], "Allowed choices are bash, zsh, fish"],
  ])("answers wrong usage with exit code 2: %j", async (args, text) => {
    const { code, err } = await runCommand(...args);
    expect(err).toContain(text);
    expect(code).toBe(2);
  });

  it("says what to do when nobody answers", async () => {
    const { code, err } = await runCommand("agents", "--dir", "/nonexistent");
    expect(err).toBe(
      "seamctl: state directory /nonexistent: holds no mesh; start one with `npm start`, name its directory with --dir, or use --server with --ca, --cert and --key\n",
    );
    expect(code).toBe(1);
  });

  it("completes for every shell it offers", async () => {
    for (const shell of ["bash", "zsh", "fish"]) {
      const { code, out } = await runCommand("completion", shell);
      expect(code).toBe(0);
      for (const word of ["explain", "publish", "exit-when-ready", "as-group"]) expect(out).toContain(word);
    }
  });
});

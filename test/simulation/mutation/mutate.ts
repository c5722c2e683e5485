import { execFile } from "node:child_process";
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs, promisify, stripVTControlCharacters } from "node:util";
import type { Mutant } from "./mutant.ts";
import { MUTANTS } from "./mutants.ts";

const USAGE = `node test/simulation/mutation/mutate.ts [--of LIST] [--only TEXT] [--seeds N] [--anything]

Breaks the sources in one place after the other, in a copy, and asks what must notice: a directed scenario, random worlds of the simulator
or a test beside the source, as the list beside this program says. Ends with 1 when one is not noticed, or does not apply any more.

  --of LIST     ${Object.keys(MUTANTS).join(", ")}; all when left out
  --only TEXT   mutants whose name has this text
  --seeds N     random worlds that a mutant may take at most             (400)
  --anything    asks all scenarios and then random worlds, not what the list says: finds out what notices a new mutant`;

const { values } = parseArgs({
  options: {
    of: { type: "string" },
    only: { type: "string", default: "" },
    seeds: { type: "string", default: "400" },
    anything: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
const ROOT = join(import.meta.dirname, "../../..");
const COPIED = ["src", "test", "crds", "proto", "examples", "package.json", "tsconfig.json", "vitest.config.ts"];
/** Real time after which a mutant hangs, milliseconds: a machine that never returns is not noticed, it is waited for. */
const LIMIT_MS = 900_000;
const FIRST_FAILURE = "test/simulation/mutation/first-failure.ts";
const run = promisify(execFile);

if (values.help) console.log(USAGE);
else process.exitCode = (await tryAll()) ? 0 : 1;

async function tryAll(): Promise<boolean> {
  const chosen = Object.entries(MUTANTS)
    .filter(([list]) => values.of === undefined || list === values.of)
    .flatMap(([, mutants]) => mutants)
    .filter(({ name }) => name.includes(values.only));
  if (chosen.length === 0) throw new Error("no such mutant");
  const copy = await mkdtemp(join(tmpdir(), "mutants-"));
  let caught = 0;
  try {
    for (const part of COPIED) await cp(join(ROOT, part), join(copy, part), { recursive: true });
    await symlink(join(ROOT, "node_modules"), join(copy, "node_modules"));
    for (const mutant of chosen) {
      const noticed = await tried(copy, mutant);
      if (noticed !== undefined) caught++;
      console.log(
        `${noticed === undefined ? "SURVIVES" : "caught  "} ${mutant.name}\n         ${noticed ?? mutant.file}`,
      );
    }
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
  console.log(`${caught} of ${chosen.length} caught`);
  return caught === chosen.length;
}

/** What is said of one mutant; undefined when nothing is. */
async function tried(copy: string, mutant: Mutant): Promise<string | undefined> {
  const { file, find, put } = mutant;
  const path = join(copy, file);
  const text = await readFile(path, "utf8");
  if (text.split(find).length !== 2) throw new Error(`${mutant.name}: ${file} does not hold exactly once: ${find}`);
  await writeFile(
    path,
    text.replace(find, () => put),
  );
  try {
    for (const args of values.anything ? everything(mutant) : [catcher(mutant)]) {
      const said = await saidBy(copy, args);
      if (said !== undefined) return said;
    }
    return undefined;
  } finally {
    await writeFile(path, text);
  }
}

function catcher({ caughtBy }: Mutant): readonly string[] {
  if ("scenario" in caughtBy) return [FIRST_FAILURE, "--scenario", caughtBy.scenario];
  if ("test" in caughtBy) return ["node_modules/vitest/vitest.mjs", "run", caughtBy.test];
  const seeds = [FIRST_FAILURE, "--seeds", values.seeds];
  switch (caughtBy.worlds) {
    case "one hub":
      return seeds;
    case "three replicas":
      return [...seeds, "--replicas", "3"];
    case "permissions":
      return [...seeds, "--permissions"];
  }
}

/** Scenarios, random worlds, and then what the list says. */
function everything(mutant: Mutant): readonly (readonly string[])[] {
  return [[FIRST_FAILURE, "--scenario", ""], [FIRST_FAILURE, "--seeds", values.seeds], catcher(mutant)];
}

async function saidBy(copy: string, args: readonly string[]): Promise<string | undefined> {
  const [program = "", ...rest] = args;
  try {
    await run(process.execPath, [join(copy, program), ...rest], {
      cwd: copy,
      timeout: LIMIT_MS,
      killSignal: "SIGKILL",
    });
    return undefined;
  } catch (error) {
    const {
      stdout = "",
      stderr = "",
      killed,
    } = error as {
      readonly stdout?: string;
      readonly stderr?: string;
      readonly killed?: boolean;
    };
    if (killed === true) throw new Error(`it hangs: ${args.join(" ")}`, { cause: error });
    // A mutant that does not even load was noticed by nobody.
    if (stdout === "") throw new Error(`nothing ran: ${stderr.slice(0, 2_000)}`, { cause: error });
    const lines = stripVTControlCharacters(stdout).trim().split("\n");
    const failed = program === FIRST_FAILURE ? lines[0] : failedTest(stderr);
    if (failed === undefined) throw new Error(`no test ran: ${stdout.slice(0, 2_000)}`, { cause: error });
    return failed.slice(0, 200);
  }
}

/** The first test that vitest says has failed. */
function failedTest(stderr: string): string | undefined {
  return stripVTControlCharacters(stderr)
    .split("\n")
    .find((line) => line.includes("FAIL "))
    ?.trim();
}

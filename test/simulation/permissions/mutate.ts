import { execFile } from "node:child_process";
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs, promisify } from "node:util";
import { MUTANTS, type Mutant } from "./mutants.ts";

const USAGE = `node test/simulation/permissions/mutate.ts [--seeds N] [--only TEXT]

Breaks the permission path in one place after the other, in a copy of the sources, and says which seed of the simulator notices.
Ends with 1 when one of them is noticed by none.

  --seeds N     seeds that a mutant may take at most   (120)
  --only TEXT   mutants whose name has this text`;

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "120" },
    only: { type: "string", default: "" },
    help: { type: "boolean", default: false },
  },
});
const ROOT = join(import.meta.dirname, "../../..");
const COPIED = ["src", "test", "crds", "proto", "examples", "package.json", "tsconfig.json"];
const run = promisify(execFile);

if (values.help) console.log(USAGE);
else process.exitCode = (await tryAll()) ? 0 : 1;

async function tryAll(): Promise<boolean> {
  const copy = await mkdtemp(join(tmpdir(), "permission-mutants-"));
  let caught = 0;
  const mutants = MUTANTS.filter(({ name }) => name.includes(values.only));
  try {
    for (const part of COPIED) await cp(join(ROOT, part), join(copy, part), { recursive: true });
    await symlink(join(ROOT, "node_modules"), join(copy, "node_modules"));
    for (const mutant of mutants) {
      const noticed = await tried(copy, mutant);
      if (noticed !== undefined) caught++;
      console.log(
        `${noticed === undefined ? "SURVIVES" : "caught  "} ${mutant.name}${noticed ? `\n         ${noticed}` : ""}`,
      );
    }
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
  console.log(`${caught} of ${mutants.length} caught`);
  return caught === mutants.length;
}

/** What the simulator says of one mutant; undefined when it says nothing. */
async function tried(copy: string, { file, find, put }: Mutant): Promise<string | undefined> {
  const path = join(copy, file);
  const text = await readFile(path, "utf8");
  if (text.split(find).length !== 2) throw new Error(`${file} does not hold exactly once: ${find}`);
  await writeFile(
    path,
    text.replace(find, () => put),
  );
  try {
    const child = join(copy, "test/simulation/permissions/first-failure.ts");
    await run(process.execPath, [child, "--seeds", values.seeds], { cwd: copy });
    return undefined;
  } catch (error) {
    const { stdout = "", stderr = "" } = error as { readonly stdout?: string; readonly stderr?: string };
    if (stdout === "") throw new Error(`the simulator did not run: ${stderr.slice(0, 2_000)}`, { cause: error });
    return stdout.trim().split("\n")[0];
  } finally {
    await writeFile(path, text);
  }
}

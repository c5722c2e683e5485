import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { SeededRandom } from "../../src/base/random.ts";
import { runCrashes } from "./run-crashes.ts";

/** `node test/crash/main.ts --kills 500 --seed 1`: more crashes than the tests make. Exit code 1 when something was lost. */
const { values } = parseArgs({ options: { kills: { type: "string" }, seed: { type: "string" } } });
const kills = Number(values.kills ?? "500");
const seed = Number(values.seed ?? String(process.pid));
const root = await mkdtemp(join(tmpdir(), "seam-crash-"));
const report = await runCrashes(join(root, "cluster"), {
  kills,
  random: new SeededRandom(seed),
  compileCache: join(root, "compile-cache"),
});
await rm(root, { recursive: true });
console.log(`seed ${seed}: ${report.kills} kills, ${report.early} before the first answer, ${report.answered} answers`);
for (const problem of report.problems) console.log(problem);
process.exitCode = report.problems.length === 0 ? 0 : 1;

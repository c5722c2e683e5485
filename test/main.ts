import { spawnSync } from "node:child_process";
import { performance } from "node:perf_hooks";

/** `npm test`: the quick checks, one line each when they pass and all they say when they do not, then the tests with their own report. */
const CHECKS = ["format:check", "lint", "typecheck", "proto:check", "floors"];

const since = (started: number): string => `${((performance.now() - started) / 1000).toFixed(1)} s`.padStart(8);

const began = performance.now();
let failed = 0;
for (const check of CHECKS) {
  const started = performance.now();
  const { status, stdout, stderr } = spawnSync("npm", ["run", "--silent", check], { encoding: "utf8" });
  process.stdout.write(`${status === 0 ? "ok    " : "FAILED"}${since(started)}  ${check}\n`);
  if (status === 0) continue;
  failed += 1;
  process.stdout.write(`${stdout}${stderr}\n`);
}
if (failed > 0) {
  process.stdout.write(`the tests are not run: fix the checks first (npm run format puts the format right)\n`);
  process.exitCode = 1;
} else {
  const { status } = spawnSync("npm", ["run", "--silent", "unit"], { stdio: "inherit" });
  process.stdout.write(`${status === 0 ? "ok    " : "FAILED"}${since(began)}  npm test\n`);
  process.exitCode = status === 0 ? 0 : 1;
}

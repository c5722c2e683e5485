import { execFile } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, expect, it } from "vitest";

const run = promisify(execFile);
const LINKS = fileURLToPath(new URL("../../node_modules/.bin/", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "seam-programs-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A machine whose own Node cannot run TypeScript. */
function machineWithNode(version: string): NodeJS.ProcessEnv {
  writeFileSync(join(folder, "node"), `#!/bin/sh\necho ${version}\n`);
  chmodSync(join(folder, "node"), 0o755);
  return { ...process.env, PATH: `${folder}:/usr/bin:/bin` };
}

it("starts the Node of the lock file, whichever the machine has and from wherever it is called", async () => {
  const env = machineWithNode("v20.0.0");
  const seamctl = await run(join(LINKS, "seamctl"), ["--version"], { env, cwd: folder });
  expect(seamctl.stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  const node = await run(join(LINKS, "with-node"), ["node", "--version"], { env, cwd: folder });
  expect(node.stdout).toBe(`${process.version}\n`);
});

it("passes arguments and exit codes through as they are", async () => {
  const script = "process.stdout.write(process.argv.at(-1)); process.exitCode = 7";
  await expect(run(join(LINKS, "with-node"), ["node", "-e", script, "a  b'\"$x"])).rejects.toMatchObject({
    code: 7,
    stdout: "a  b'\"$x",
  });
});

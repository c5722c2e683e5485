import {
  accessSync,
  constants,
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { RunningCommand, freeOffset, seamctl } from "./run-seamctl.ts";

const root = mkdtempSync(join(tmpdir(), "seam-refused-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** A user without rights, when this one has all. */
const NOBODY = 65_534;

describe("seamctl up that cannot start", async () => {
  const offset = await freeOffset();

  it("names a busy port, who wants it and the flag that helps", async () => {
    const blocker = createServer();
    await new Promise<void>((resolve) => blocker.listen(9443 + offset, "127.0.0.1", resolve));
    const result = await seamctl("up", "--dir", join(root, "busy"), "--port-offset", String(offset));
    await new Promise((resolve) => blocker.close(resolve));
    expect(result.code).toBe(1);
    expect(result.stderr).toContain(`port ${9443 + offset}: must be free for the management federation hub`);
    expect(result.stderr).toContain("--port-offset");
  });

  it("refuses a state directory of a newer version and leaves it alone", async () => {
    const directory = join(root, "newer");
    mkdirSync(directory);
    writeFileSync(join(directory, "version"), "99\n");
    const result = await seamctl("up", "--dir", directory, "--port-offset", String(offset));
    expect(result.code).toBe(1);
    expect(result.stderr).toContain("a newer seamctl wrote it");
    expect(readFileSync(join(directory, "version"), "utf8")).toBe("99\n");
    expect(readdirSync(directory)).toEqual(["version"]);
  });

  it("refuses a directory that is something else and leaves it alone", async () => {
    const directory = join(root, "project");
    mkdirSync(directory);
    writeFileSync(join(directory, "package.json"), "{}\n");
    const result = await seamctl("up", "--dir", directory, "--port-offset", String(offset));
    expect(result.code).toBe(1);
    expect(result.stderr).toContain("holds other files");
    expect(readdirSync(directory)).toEqual(["package.json"]);
  });

  it("refuses a directory that it may not write", async () => {
    const directory = join(root, "locked");
    mkdirSync(directory);
    const asRoot = process.getuid?.() === 0;
    if (asRoot) {
      // Root may write everywhere: another user asks, who must at least reach the place.
      chmodSync(root, 0o755);
      chmodSync(directory, 0o755);
    } else {
      chmodSync(directory, 0o500);
    }
    const command = new RunningCommand(
      ["up", "--dir", directory, "--port-offset", String(offset)],
      asRoot ? { uid: NOBODY, cwd: root } : {},
    );
    const { code, stderr } = await command.finished;
    expect(stderr).toContain("must be a directory this user can write");
    expect(stderr).toContain("choose another with --dir");
    expect(code).toBe(1);
    expect(readdirSync(directory)).toEqual([]);
    accessSync(directory, constants.R_OK);
  });

  it("answers --exit-when-ready with the reason when time is up", async () => {
    const where = ["--dir", join(root, "slow"), "--port-offset", String(offset)];
    const result = await seamctl("up", ...where, "--exit-when-ready", "--timeout", "1", "--tenants", "1");
    expect(result.code).toBe(1);
    expect(result.stderr).toMatch(/not ready after 1 s: .+/);
    expect(result.stderr).toContain(`the logs are in ${join(root, "slow", "logs")}`);
    expect(result.stdout).toContain("stopped in");
  });

  it("says where to find a mesh when there is none", async () => {
    const result = await seamctl("agents", "--dir", join(root, "nothing-here"));
    expect(result.code).toBe(1);
    expect(result.stderr).toContain("holds no mesh; start one with `npm start`");
  });
});

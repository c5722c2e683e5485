import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { freeOffset, meshUp, seamctl } from "./run-seamctl.ts";

/** True while a process of that id exists. */
function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe("seamctl up on an existing directory", async () => {
  const directory = mkdtempSync(join(tmpdir(), "seam-again-"));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));
  const offset = await freeOffset();
  const where = ["--dir", directory, "--port-offset", String(offset)];
  const again = (tenants: number) => seamctl("up", ...where, "--tenants", String(tenants), "--exit-when-ready");

  it("goes on after kill -9: the processes of the killed one end by themselves", async () => {
    const up = await meshUp(directory, offset, "--tenants", "2");
    const pids = readdirSync(join(directory, "run"))
      .filter((file) => file.endsWith(".pid"))
      .map((file) => Number(readFileSync(join(directory, "run", file), "utf8")));
    expect(pids).toHaveLength(3);
    up.process.kill("SIGKILL");
    await up.finished;
    await expect.poll(() => pids.filter(alive), { timeout: 10_000 }).toEqual([]);
    const next = await again(2);
    expect(next.stderr).toBe("");
    expect(next.code).toBe(0);
  });

  it("adds tenants, and they get what every tenant gets", async () => {
    const { code, stdout, stderr } = await again(3);
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(/tenant-3 +hello-tenant-3 +hello-v1\.0\.0 +v1\.0\.0 +healthy/);
  });

  it("leaves tenants down that it is not asked for, says so, and waits for none of them", async () => {
    const { code, stdout, stderr } = await again(1);
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toContain("registered earlier and not started now: tenant-2, tenant-3; start with --tenants 3");
    expect(stdout).not.toContain("tenant-2 started");
    expect(stdout).not.toMatch(/tenant-2 +hello-tenant-2/);
  });
});

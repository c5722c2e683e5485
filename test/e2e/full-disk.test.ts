import { spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readdirSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it, onTestFinished } from "vitest";
import { freeOffset, meshUp, seamctl } from "./run-seamctl.ts";

const mounted = mkdtempSync(join(tmpdir(), "seam-disk-"));
const mount = (options: string): boolean =>
  spawnSync("mount", ["-t", "tmpfs", "-o", options, "tmpfs", mounted]).status === 0;
/** Only root may mount, and not in every container. */
const small = process.getuid?.() === 0 && mount("size=40m");

afterAll(() => {
  if (small) spawnSync("umount", [mounted]);
  rmSync(mounted, { recursive: true, force: true });
});

/** Writes until nothing more fits. */
function fill(file: string): void {
  const out = openSync(file, "w");
  for (let bytes = 1024 * 1024; bytes >= 1;) {
    try {
      if (writeSync(out, Buffer.alloc(bytes)) < bytes) bytes = Math.floor(bytes / 2);
    } catch {
      bytes = Math.floor(bytes / 2); // no space for so much
    }
  }
  closeSync(out);
}

describe.skipIf(!small)(`a full disk${small ? "" : ": no small file system can be mounted here"}`, async () => {
  const directory = join(mounted, "mesh");
  const where = ["--dir", directory];
  const offset = await freeOffset();
  const publish = (version: string) => {
    const pack = ["examples/packs/hello/v2", "--name", "hello", "--version", version];
    return seamctl("pack", "publish", ...pack, "--to", "all", ...where);
  };

  it("refuses to start with too little space, and begins nothing", async () => {
    const result = await seamctl("up", "--dir", directory, "--port-offset", String(offset));
    expect(result.code).toBe(1);
    expect(result.stderr).toMatch(/needs 64 MiB of free space, found 40 MiB; free some space, or choose another/);
    expect(readdirSync(directory)).toEqual([]);
  });

  it("refuses work while the disk is full, keeps what it has, and goes on when there is space again", async () => {
    expect(mount("remount,size=120m")).toBe(true);
    const up = await meshUp(directory, offset, "--tenants", "1");
    onTestFinished(async () => {
      await up.stop(); // else the file system stays busy
    });
    const filler = join(mounted, "filler");
    fill(filler);

    const refused = await publish("v2.0.0");
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/space/);
    const account = "system:serviceaccount:hello:hello";
    const asked = await seamctl("can-i", "get", "pods", "-n", "hello", "--as", account, ...where);
    expect(asked.stdout).toMatch(/^yes: /);
    // Not even its log can be written, and the hub answers all the same. Nor can its membership be renewed: after some seconds it carries
    // nobody, and says why.
    expect((await seamctl("agents", ...where)).stdout).toMatch(
      /^tenant-1 +(yes|no .* this replica lost its membership)/m,
    );

    rmSync(filler);
    await expect.poll(() => publish("v2.0.0"), { timeout: 60_000, interval: 500 }).toMatchObject({ code: 0 });
    await expect
      .poll(async () => (await seamctl("receipts", "--dir", directory)).stdout, { timeout: 60_000, interval: 500 })
      .toMatch(/hello-tenant-1 +hello-v2\.0\.0 +v2\.0\.0 +healthy +yes/);
    expect((await up.stop()).code).toBe(0);

    const ports = ["--port-offset", String(offset)];
    const again = await seamctl("up", ...where, ...ports, "--tenants", "1", "--exit-when-ready");
    expect([again.code, again.stderr]).toEqual([0, ""]);
    expect(again.stdout).toContain("hello-v2.0.0");
  });
});

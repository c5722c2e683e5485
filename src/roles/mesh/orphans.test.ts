import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { systemClock } from "../../base/clock.ts";
import { MeshLayout, prepareLayout } from "./layout.ts";
import { awaitOrphans } from "./orphans.ts";

describe("awaitOrphans", () => {
  const root = mkdtempSync(join(tmpdir(), "seam-orphans-"));
  const layout = new MeshLayout(root);
  prepareLayout(layout);
  const parts = { clock: systemClock, signal: new AbortController().signal };
  afterAll(() => rmSync(root, { recursive: true, force: true }));

  it("waits for a process that an earlier up left behind, and forgets one that is long gone", async () => {
    const left = spawn(process.execPath, [
      "-e",
      "process.on('SIGTERM', () => process.exit()); setInterval(() => {}, 1000)",
    ]);
    writeFileSync(layout.pid("management"), `${left.pid ?? 0}\n`);
    writeFileSync(layout.pid("tenant-1"), "4194304999\n");
    let done = false;
    const waiting = awaitOrphans(layout, parts).then(() => (done = true));
    await expect.poll(() => existsSync(layout.pid("tenant-1"))).toBe(false);
    expect(done).toBe(false);
    left.kill("SIGKILL");
    await waiting;
    expect(existsSync(layout.pid("management"))).toBe(false);
  });
});

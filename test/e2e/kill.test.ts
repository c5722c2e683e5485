import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { runChaos } from "../chaos/run-chaos.ts";
import { freeOffset } from "./run-seamctl.ts";

/** `node test/chaos/main.ts --kills 200 --pause-ms 4000` is the long form. */
it("loses nothing when processes are killed at random while people work", async () => {
  const parent = mkdtempSync(join(tmpdir(), "seam-kill-"));
  const lines: string[] = [];
  try {
    const result = await runChaos({
      directory: join(parent, "mesh"),
      seed: 15,
      kills: 20,
      tenants: 3,
      portOffset: await freeOffset(),
      pauseMs: 3_000,
      settleMs: 90_000,
      print: (line) => lines.push(line),
    });
    // The course of a run that failed belongs to its report.
    expect(result.faults.length === 0 ? [] : [...result.faults, ...lines]).toEqual([]);
    expect(result.auditEvents).toBeGreaterThan(0);
  } finally {
    rmSync(parent, { recursive: true, force: true });
  }
});

import { readFileSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "../../base/clock.ts";
import type { MeshLayout } from "./layout.ts";

/** Longest wait for what a killed `up` left behind: its processes see that it is gone and stop in order. */
const ORPHANS_MS = 8_000;
const LOOK_EVERY_MS = 50;

/**
 * Waits until the processes of an earlier `up` that was killed have ended: they still hold its ports and databases for a moment. Pid
 * files of ended ones are removed; one that does not end in time is left to the checks that follow, which name what it holds.
 */
export async function awaitOrphans(
  layout: MeshLayout,
  parts: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<void> {
  const { clock, signal } = parts;
  const deadline = clock.monotonic() + ORPHANS_MS;
  while (!signal.aborted && orphans(layout).length > 0 && clock.monotonic() < deadline)
    await clock.sleep(LOOK_EVERY_MS, signal);
}

function orphans(layout: MeshLayout): readonly number[] {
  return readdirSync(layout.run)
    .filter((file) => file.endsWith(".pid"))
    .flatMap((file) => {
      const path = join(layout.run, file);
      const pid = Number(readFileSync(path, "utf8"));
      if (Number.isInteger(pid) && pid > 1 && isAlive(pid)) return [pid];
      rmSync(path, { force: true });
      return [];
    });
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false; // gone, or the number is somebody else's process now
  }
}

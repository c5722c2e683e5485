import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Namespace } from "../../src/api/builtin.ts";
import { systemClock } from "../../src/base/clock.ts";
import { silentLog } from "../../src/base/log.ts";
import { SeededRandom, systemRandom } from "../../src/base/random.ts";
import { openEmbeddedCluster } from "../../src/cluster/embedded/embedded-cluster.ts";
import { runCrashes } from "./run-crashes.ts";

const WRITER = fileURLToPath(new URL("./crash-writer.ts", import.meta.url));
/** `node test/crash/main.ts --kills 500` makes more. */
const KILLS = 80;
const SEED = 20_261_130;

describe("a process killed while it writes", () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "seam-crash-"));
  });
  afterEach(async () => {
    await rm(directory, { recursive: true });
  });
  const open = () =>
    openEmbeddedCluster({
      directory: join(directory, "cluster"),
      clock: systemClock,
      random: systemRandom,
      log: silentLog,
    });

  it("is named while it lives, and does not keep the directory once it is dead", async () => {
    const child = spawn(process.execPath, [WRITER, join(directory, "cluster"), "1", "1"], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await once(child.stdout, "data");
    await expect(open()).rejects.toThrow(`but process ${child.pid} has; stop that process or use another directory`);
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
    await (await open()).close();
  });

  it(
    `loses no answered write and leaves no half object, ${KILLS} times at random points`,
    { timeout: 300_000 },
    async () => {
      const report = await runCrashes(join(directory, "cluster"), {
        kills: KILLS,
        random: new SeededRandom(SEED),
        compileCache: join(directory, "compile-cache"),
      });
      expect(report.problems).toEqual([]);
      expect(report.answered).toBeGreaterThan(KILLS);
      // What a killed process had begun to take down goes down after all.
      const cluster = await open();
      await expect
        .poll(
          async () =>
            (await cluster.list(Namespace)).items.filter((item) => item.metadata.deletionTimestamp !== undefined)
              .length,
          { timeout: 20_000 },
        )
        .toBe(0);
      await cluster.close();
    },
  );
});

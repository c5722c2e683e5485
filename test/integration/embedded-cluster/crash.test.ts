import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ConfigMap } from "../../../src/api/builtin.ts";
import { systemClock } from "../../../src/base/clock.ts";
import { silentLog } from "../../../src/base/log.ts";
import { systemRandom } from "../../../src/base/random.ts";
import { openEmbeddedCluster } from "../../../src/cluster/embedded/embedded-cluster.ts";

const WRITER = fileURLToPath(new URL("./crash-writer.ts", import.meta.url));

describe("a process killed while it writes", () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "seam-crash-"));
  });
  afterEach(async () => {
    await rm(directory, { recursive: true });
  });

  /** Runs a writer, kills it with SIGKILL after `lines` acknowledgements and returns all that were printed. */
  const crash = async (prefix: string, lines: number): Promise<string[]> => {
    const child = spawn(process.execPath, [WRITER, directory, prefix], { stdio: ["ignore", "pipe", "inherit"] });
    const acknowledged: string[] = [];
    const reader = createInterface({ input: child.stdout });
    reader.on("line", (line) => {
      acknowledged.push(line);
      if (acknowledged.length === lines) child.kill("SIGKILL");
    });
    await Promise.all([once(child, "exit"), once(reader, "close")]);
    return acknowledged;
  };

  it("is named while it lives, and does not keep the directory once it is dead", async () => {
    const child = spawn(process.execPath, [WRITER, directory, "w"], { stdio: ["ignore", "pipe", "inherit"] });
    await once(child.stdout, "data");
    const open = () => openEmbeddedCluster({ directory, clock: systemClock, random: systemRandom, log: silentLog });
    await expect(open()).rejects.toThrow(`but process ${child.pid} has; stop that process or use another directory`);
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
    await (await open()).close();
  });

  it("keeps every acknowledged write and deletion, three times over", async () => {
    const alive = new Set<string>();
    const deleted = new Set<string>();
    for (const [round, lines] of [37, 900, 2_000].entries()) {
      for (const line of await crash(`r${round}`, lines)) {
        const [what = "", name = ""] = line.split(" ");
        if (what === "created") alive.add(name);
        else {
          alive.delete(name);
          deleted.add(name);
        }
      }
      const cluster = await openEmbeddedCluster({
        directory,
        clock: systemClock,
        random: systemRandom,
        log: silentLog,
      });
      const { items, resourceVersion } = await cluster.list(ConfigMap, { namespace: "default" });
      const names = new Set(items.map((item) => item.metadata.name));
      // A write that was not acknowledged may be there or not: both are right. So only objects that the writer deletes may be gone.
      const missing = [...alive].filter((name) => !names.has(name));
      expect(missing.filter((name) => Number(name.split("-")[1]) % 3 !== 0)).toEqual([]);
      expect([...deleted].filter((name) => names.has(name))).toEqual([]);
      for (const name of missing) alive.delete(name);
      const versions = items.map((item) => Number(item.metadata.resourceVersion));
      expect(new Set(versions).size).toBe(versions.length);
      expect(Math.max(...versions)).toBeLessThanOrEqual(Number(resourceVersion));
      await cluster.close();
    }
    expect(alive.size).toBeGreaterThan(500);
  });
});

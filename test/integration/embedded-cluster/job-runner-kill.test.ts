import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it, onTestFinished } from "vitest";
import { Job, Pod } from "../../../src/api/builtin.ts";
import type { EmbeddedCluster } from "../../../src/cluster/embedded/embedded-cluster.ts";
import { openJobCluster } from "../../support/job-cluster.ts";

const CHILD = fileURLToPath(new URL("../../support/job-cluster-child.ts", import.meta.url));
const WITHIN = { timeout: 30_000, interval: 25 };

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe("a cluster process killed while it runs Jobs", () => {
  it("adopts what still runs, learns how the rest ended, and starts nothing twice", { timeout: 120_000 }, async () => {
    const root = await mkdtemp(join(tmpdir(), "seam-jobs-kill-"));
    onTestFinished(() => rm(root, { recursive: true }));
    const directory = join(root, "cluster");
    const first = await openJobCluster(directory);
    const run = (cluster: EmbeddedCluster, name: string, args: readonly string[]) =>
      cluster.create(Job, {
        apiVersion: "batch/v1",
        kind: "Job",
        metadata: { name, namespace: "default" },
        spec: {
          backoffLimit: 0,
          suspend: true,
          template: {
            spec: {
              restartPolicy: "Never",
              terminationGracePeriodSeconds: 1,
              containers: [
                { name: "c", image: "conductor-exec", args: ["execute", "touch", join(root, name), ...args] },
              ],
            },
          },
        },
      });
    await run(first, "runs-on", ["wait"]);
    await run(first, "ends-meanwhile", ["until", join(root, "go"), "exit", "5"]);
    await run(first, "orphan", ["wait"]);
    await first.close();

    const child = spawn(process.execPath, [CHILD, directory], { stdio: ["ignore", "pipe", "inherit"] });
    onTestFinished(() => {
      child.kill("SIGKILL");
    });
    const started = ["runs-on", "ends-meanwhile", "orphan"].map((name) => join(root, name));
    await expect.poll(() => started.every((file) => existsSync(file)), WITHIN).toBe(true);
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
    const pids = await Promise.all(
      started.map(async (file) => Number((await readFile(file, "utf8")).match(/\d+/)?.[0])),
    );
    expect(pids.map(isRunning)).toEqual([true, true, true]);

    await writeFile(join(root, "go"), "");
    await expect.poll(() => isRunning(pids[1] ?? 0), WITHIN).toBe(false);
    const cluster = await openJobCluster(directory);
    onTestFinished(() => cluster.close());
    const status = async (name: string) => (await cluster.get(Job, { namespace: "default", name })).status;
    await expect.poll(() => status("ends-meanwhile"), WITHIN).toMatchObject({ failed: 1 });
    const pods = await cluster.list(Pod, { namespace: "default", labelSelector: "job-name=ends-meanwhile" });
    expect(pods.items.map((pod) => pod.status?.containerStatuses)).toMatchObject([
      [{ state: { terminated: { exitCode: 5 } } }],
    ]);
    expect(await status("runs-on")).toMatchObject({ active: 1 });
    expect(isRunning(pids[0] ?? 0)).toBe(true);

    await cluster.delete(Job, { namespace: "default", name: "orphan" }, { propagationPolicy: "Background" });
    await expect.poll(() => isRunning(pids[2] ?? 0), WITHIN).toBe(false);
    await cluster.delete(Job, { namespace: "default", name: "runs-on" }, { propagationPolicy: "Foreground" });
    await expect.poll(() => isRunning(pids[0] ?? 0), WITHIN).toBe(false);
    for (const [i, file] of started.entries()) expect(await readFile(file, "utf8")).toBe(`${pids[i]}\n`);
    await expect.poll(() => readdir(join(directory, "pods")), WITHIN).toHaveLength(1);
  });
});

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it, onTestFinished } from "vitest";
import { ConfigMap } from "../../../src/api/builtin.ts";
import { systemClock } from "../../../src/base/clock.ts";
import { silentLog } from "../../../src/base/log.ts";
import { systemRandom } from "../../../src/base/random.ts";
import { ApiStatusError } from "../../../src/cluster/api-status-error.ts";
import { verifyState } from "../../../src/cluster/embedded/backup/verify-state.ts";
import { openEmbeddedCluster } from "../../../src/cluster/embedded/embedded-cluster.ts";

const mounted = mkdtempSync(join(tmpdir(), "seam-small-disk-"));
/** Only root may mount, and not in every container. */
const small =
  process.getuid?.() === 0 && spawnSync("mount", ["-t", "tmpfs", "-o", "size=12m", "tmpfs", mounted]).status === 0;

afterAll(() => {
  if (small) spawnSync("umount", [mounted]);
  rmSync(mounted, { recursive: true, force: true });
});

describe.skipIf(!small)(
  `an embedded cluster on a full disk${small ? "" : ": no small file system can be mounted here"}`,
  () => {
    it("refuses writes with 507, still reads and watches, and writes again when there is space", async () => {
      const directory = join(mounted, "cluster");
      const cluster = await openEmbeddedCluster({
        directory,
        clock: systemClock,
        random: systemRandom,
        log: silentLog,
      });
      const draft = (name: string) => ({
        apiVersion: "v1",
        kind: "ConfigMap",
        metadata: { name, namespace: "default" },
        data: { filler: "x".repeat(100_000) },
      });
      const answered: string[] = [];
      const fill = async (): Promise<ApiStatusError> => {
        for (let i = 0; i < 500; i++) {
          const name = `c-${answered.length}`;
          try {
            await cluster.create(ConfigMap, draft(name));
            answered.push(name);
          } catch (error) {
            if (error instanceof ApiStatusError) return error;
            throw error;
          }
        }
        throw new Error("the disk is never full");
      };
      onTestFinished(() => cluster.close()); // else the file system stays busy
      const filler = join(mounted, "filler");
      const rest = join(mounted, "rest");
      await writeFile(filler, Buffer.alloc(2 * 1024 * 1024));
      await writeFile(rest, Buffer.alloc(4 * 1024 * 1024));
      const refused = await fill();
      expect([refused.code, refused.reason, refused.details.retryAfterSeconds]).toEqual([
        507,
        "InsufficientStorage",
        5,
      ]);
      expect(refused.message).toBe(
        `the write was not stored: cluster directory ${directory}: needs space for the state, on the device and under the size limit; free space and try again; nothing that was stored is lost`,
      );
      const names = async () =>
        (await cluster.list(ConfigMap, { namespace: "default" })).items
          .map((item) => item.metadata.name)
          .filter((name) => name.startsWith("c-"));
      expect(await names()).toEqual(answered.toSorted());

      const before = answered.length;
      rmSync(filler);
      await fill();
      expect(answered.length).toBeGreaterThan(before);

      // Also a deletion needs space at first; what it frees is used again.
      rmSync(rest);
      for (const name of answered.splice(0, 5)) await cluster.delete(ConfigMap, { namespace: "default", name });
      await cluster.compactHistory();
      await cluster.create(ConfigMap, draft("c-again"));
      expect(await names()).toEqual([...answered, "c-again"].toSorted());
      await cluster.close();
      expect(verifyState(directory).problems).toEqual([]);
    });
  },
);

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { Job } from "../../../api/builtin.ts";
import { ManualClock, rfc3339Seconds } from "../../../base/clock.ts";
import { silentLog } from "../../../base/log.ts";
import { systemRandom } from "../../../base/random.ts";
import { type EmbeddedCluster, openEmbeddedCluster } from "../embedded-cluster.ts";

let directory: string;
let cluster: EmbeddedCluster;
const clock = new ManualClock();
const open = () => openEmbeddedCluster({ directory, clock, random: systemRandom, log: silentLog });
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "seam-ttl-"));
  cluster = await open();
});
afterEach(async () => {
  await cluster.close();
  await rm(directory, { recursive: true });
});

it("deletes a finished Job when its time is over, also over a restart, and no other", async () => {
  const job = async (name: string, ttlSecondsAfterFinished: number | undefined, finished: boolean) => {
    const created = await cluster.create(Job, {
      apiVersion: "batch/v1",
      kind: "Job",
      metadata: { name, namespace: "default" },
      spec: {
        ...(ttlSecondsAfterFinished === undefined ? {} : { ttlSecondsAfterFinished }),
        template: { spec: { restartPolicy: "Never", containers: [{ name: "c", image: "x" }] } },
      },
    });
    const time = rfc3339Seconds(clock.now());
    const conditions = [{ type: "Complete", status: "True", lastTransitionTime: time }] as const;
    if (finished) await cluster.updateStatus(Job, { ...created, status: { conditions } });
  };
  const names = async () => (await cluster.list(Job)).items.map((item) => item.metadata.name);
  await job("soon", 5, true);
  await job("later", 3 * 60 * 60, true);
  await job("kept", undefined, true);
  await job("unfinished", 5, false);
  await clock.advance(4_000);
  expect(await names()).toEqual(["kept", "later", "soon", "unfinished"]);
  await clock.advance(2_000);
  await expect.poll(names).toEqual(["kept", "later", "unfinished"]);
  await cluster.close();
  await clock.advance(2 * 60 * 60 * 1000);
  cluster = await open();
  expect(await names()).toEqual(["kept", "later", "unfinished"]);
  await clock.advance(60 * 60 * 1000);
  await expect.poll(names).toEqual(["kept", "unfinished"]);
});

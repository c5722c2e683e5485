import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  DaemonSet,
  Deployment,
  type DeploymentObject,
  Job,
  PersistentVolumeClaim,
  Pod,
  StatefulSet,
} from "../../../api/builtin.ts";
import type { KubeObject } from "../../../api/object.ts";
import type { ResourceType } from "../../../api/resource-type.ts";
import { systemClock } from "../../../base/clock.ts";
import { silentLog } from "../../../base/log.ts";
import { SeededRandom } from "../../../base/random.ts";
import { type EmbeddedCluster, openEmbeddedCluster } from "../embedded-cluster.ts";
import { OUTCOME_ANNOTATION, type Outcome } from "./outcome.ts";
import { startSimulatedNodes } from "./simulated-nodes.ts";

const template = {
  metadata: { labels: { app: "a" } },
  spec: { containers: [{ name: "main", image: "registry.example/a:1" }] },
};
const selector = { matchLabels: { app: "a" } };

describe("simulated nodes", () => {
  let directory: string;
  let cluster: EmbeddedCluster;
  let stop: AbortController;
  let closed: Promise<void>;

  const open = (): Promise<EmbeddedCluster> =>
    openEmbeddedCluster({ directory, clock: systemClock, random: new SeededRandom(1), log: silentLog });

  const simulate = async (): Promise<void> => {
    stop = new AbortController();
    const nodes = await startSimulatedNodes({
      cluster,
      clock: systemClock,
      random: new SeededRandom(2),
      log: silentLog,
      signal: stop.signal,
      startupMs: 20,
    });
    ({ closed } = nodes);
  };

  /** Watches until the object meets the condition. */
  const until = async <T extends KubeObject>(
    type: ResourceType<T>,
    name: string,
    condition: (object: T) => boolean,
  ): Promise<T> => {
    const done = new AbortController();
    for await (const event of cluster.watch(type, { fieldSelector: `metadata.name=${name}` }, done.signal)) {
      if (event.type === "BOOKMARK" || !condition(event.object)) continue;
      done.abort();
      return event.object;
    }
    throw new Error("the watch ended first");
  };

  const deploy = (name: string, outcome: Outcome): Promise<DeploymentObject> =>
    cluster.create(Deployment, {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name, namespace: "default", annotations: { [OUTCOME_ANNOTATION]: outcome } },
      spec: { replicas: 3, selector, template },
    });

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "seam-nodes-"));
    cluster = await open();
    await simulate();
  });

  afterEach(async () => {
    stop.abort();
    await closed;
    await cluster.close();
    await rm(directory, { recursive: true });
  });

  it("brings a Deployment through progressing to available, again after a change", async () => {
    await deploy("web", "ready");
    const progressing = await until(Deployment, "web", (d) => d.status?.observedGeneration === 1);
    expect(progressing.status).toMatchObject({ replicas: 3, unavailableReplicas: 3 });
    const ready = await until(Deployment, "web", (d) => d.status?.availableReplicas === 3);
    expect(ready.status?.conditions?.map((c) => [c.type, c.status, c.reason])).toEqual([
      ["Available", "True", "MinimumReplicasAvailable"],
      ["Progressing", "True", "NewReplicaSetAvailable"],
    ]);
    await cluster.patch(
      Deployment,
      { namespace: "default", name: "web" },
      { type: "merge", body: { spec: { replicas: 5 } } },
    );
    const scaled = await until(Deployment, "web", (d) => d.status?.availableReplicas === 5);
    expect(scaled.status?.observedGeneration).toBe(2);
  });

  it("makes a Deployment fail or hang when its annotation says so", async () => {
    await deploy("bad", "fail");
    const failed = await until(Deployment, "bad", (d) =>
      (d.status?.conditions ?? []).some((c) => c.reason === "ProgressDeadlineExceeded"),
    );
    expect(failed.status?.readyReplicas).toBeUndefined();
    await deploy("slow", "hang");
    await deploy("after", "ready");
    await until(Deployment, "slow", (d) => d.status?.observedGeneration === 1);
    await until(Deployment, "after", (d) => d.status?.availableReplicas === 3);
    const hanging = await cluster.get(Deployment, { namespace: "default", name: "slow" });
    expect(hanging.status?.conditions?.[1]).toMatchObject({ type: "Progressing", reason: "ReplicaSetUpdated" });
  });

  it("settles StatefulSets, DaemonSets, Pods and claims", async () => {
    const metadata = { name: "a", namespace: "default" };
    await cluster.create(StatefulSet, {
      apiVersion: "apps/v1",
      kind: "StatefulSet",
      metadata,
      spec: { selector, template },
    });
    await cluster.create(DaemonSet, {
      apiVersion: "apps/v1",
      kind: "DaemonSet",
      metadata,
      spec: { selector, template },
    });
    await cluster.create(Pod, { apiVersion: "v1", kind: "Pod", metadata, spec: template.spec });
    await cluster.create(PersistentVolumeClaim, {
      apiVersion: "v1",
      kind: "PersistentVolumeClaim",
      metadata,
      spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } },
    });
    const set = await until(StatefulSet, "a", (s) => s.status?.readyReplicas === 1);
    expect(set.status?.currentRevision).toBe(set.status?.updateRevision);
    await until(DaemonSet, "a", (s) => s.status?.numberReady === 1);
    const pod = await until(Pod, "a", (p) => p.status?.phase === "Running");
    expect(pod.status?.conditions?.find((c) => c.type === "Ready")?.status).toBe("True");
    const claim = await until(PersistentVolumeClaim, "a", (c) => c.status?.phase === "Bound");
    expect(claim.status?.capacity).toEqual({ storage: "1Gi" });
  });

  it("completes Jobs, or fails them at their backoff limit", async () => {
    const run = (name: string, outcome: Outcome): Promise<unknown> =>
      cluster.create(Job, {
        apiVersion: "batch/v1",
        kind: "Job",
        metadata: { name, namespace: "default" },
        spec: {
          template: {
            metadata: { annotations: { [OUTCOME_ANNOTATION]: outcome } },
            spec: { ...template.spec, restartPolicy: "Never" },
          },
        },
      });
    await run("good", "ready");
    await run("bad", "fail");
    const done = await until(Job, "good", (j) => j.status?.succeeded === 1);
    expect(done.status?.conditions?.find((c) => c.type === "Complete")?.status).toBe("True");
    const failed = await until(Job, "bad", (j) => j.status?.failed === 7);
    expect(failed.status?.conditions?.find((c) => c.type === "Failed")?.reason).toBe("BackoffLimitExceeded");
  });

  it("goes on after a restart in the middle, and leaves settled objects alone", async () => {
    await deploy("settled", "ready");
    const before = await until(Deployment, "settled", (d) => d.status?.availableReplicas === 3);
    stop.abort();
    await closed;
    await deploy("interrupted", "ready");
    await cluster.close();
    cluster = await open();
    await simulate();
    await until(Deployment, "interrupted", (d) => d.status?.availableReplicas === 3);
    const after = await cluster.get(Deployment, { namespace: "default", name: "settled" });
    expect(after.metadata.resourceVersion).toBe(before.metadata.resourceVersion);
  });
});

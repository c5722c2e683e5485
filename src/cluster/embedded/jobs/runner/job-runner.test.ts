import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  ConfigMap,
  Event,
  Job,
  type JobObject,
  Namespace,
  Pod,
  type PodObject,
  Secret,
} from "../../../../api/builtin.ts";
import { systemClock } from "../../../../base/clock.ts";
import type { EmbeddedCluster } from "../../embedded-cluster.ts";
import { openJobCluster } from "../../../../../test/support/job-cluster.ts";
import { podLogFiles } from "./pod-log-files.ts";

const WITHIN = { timeout: 20_000, interval: 25 };

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe("the job runner", () => {
  let directory: string;
  let cluster: EmbeddedCluster;
  const open = () => openJobCluster(join(directory, "cluster"));
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "seam-jobs-"));
    cluster = await open();
  });
  afterEach(async () => {
    await cluster.close();
    await rm(directory, { recursive: true });
  });

  const run = (
    name: string,
    args: readonly string[],
    spec: Partial<JobObject["spec"]> = {},
    container: object = {},
    pod: object = {},
  ) =>
    cluster.create(Job, {
      apiVersion: "batch/v1",
      kind: "Job",
      metadata: { name, namespace: "default" },
      spec: {
        backoffLimit: 0,
        ...spec,
        template: {
          spec: {
            restartPolicy: "Never",
            terminationGracePeriodSeconds: 1,
            containers: [
              {
                name: "executor",
                image: "registry.example/conductor-exec:v1",
                args: ["execute", ...args],
                ...container,
              },
            ],
            ...pod,
          },
        },
      },
    });
  const job = (name: string) => cluster.get(Job, { namespace: "default", name });
  const pods = async (name: string): Promise<readonly PodObject[]> =>
    (await cluster.list(Pod, { namespace: "default", labelSelector: `job-name=${name}` })).items;
  const condition = async (name: string) => {
    const found = (await job(name)).status?.conditions?.find(
      ({ type, status }) => (type === "Complete" || type === "Failed") && status === "True",
    );
    return found && `${found.type} ${found.reason}: ${found.message}`;
  };
  const finished = async (name: string): Promise<string> => {
    await expect.poll(() => condition(name), WITHIN).toBeDefined();
    return (await condition(name)) ?? "";
  };
  const folderOf = (pod: PodObject) => join(directory, "cluster", "pods", pod.metadata.uid ?? "");
  const output = async (pod: PodObject, restart = 0): Promise<readonly string[]> => {
    const file = join(folderOf(pod), `log.${restart}`);
    const text = existsSync(file) ? await readFile(file, "utf8") : "";
    return text
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => line.replace(/^\S+ /, ""));
  };
  const pidSaid = async (name: string): Promise<number> => {
    let pid = 0;
    await expect
      .poll(async () => {
        const [pod] = await pods(name);
        const line = pod && (await output(pod)).find((each) => each.includes("waiting"));
        pid = Number(line?.split(" ").at(-1) ?? 0);
        return pid;
      }, WITHIN)
      .toBeGreaterThan(0);
    return pid;
  };

  it("runs our own program and tells in pod and Job how it ended", async () => {
    await cluster.create(Secret, {
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: "s", namespace: "default" },
      stringData: { token: "hush" },
    });
    await cluster.create(ConfigMap, {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "c", namespace: "default" },
      data: { A: "1", B: "2" },
    });
    await run(
      "good",
      [
        "env",
        "CAPABILITY",
        "env",
        "NAME",
        "env",
        "TOKEN",
        "env",
        "X_B",
        "env",
        "MIXED",
        "cat",
        "/var/run/secrets/s/token",
        "cat",
        "$(FILE)",
        "env",
        "PARENT_SECRET",
      ],
      {},
      {
        env: [
          { name: "CAPABILITY", value: "test" },
          { name: "NAME", valueFrom: { fieldRef: { fieldPath: "metadata.namespace" } } },
          { name: "TOKEN", valueFrom: { secretKeyRef: { name: "s", key: "token" } } },
          { name: "MIXED", value: "$(CAPABILITY)-$$(X)-$(NOPE)" },
          { name: "FILE", value: "/etc/c/A" },
        ],
        envFrom: [{ prefix: "X_", configMapRef: { name: "c" } }],
        volumeMounts: [
          { name: "s", mountPath: "/var/run/secrets/s" },
          { name: "c", mountPath: "/etc/c" },
        ],
      },
      {
        volumes: [
          { name: "s", secret: { secretName: "s", items: [{ key: "token", path: "token" }] } },
          { name: "c", configMap: { name: "c" } },
        ],
      },
    );
    expect(await finished("good")).toBe("Complete CompletionsReached: Reached expected number of succeeded pods");
    const { status } = await job("good");
    expect(status).toMatchObject({ succeeded: 1 });
    expect(status).not.toHaveProperty("active");
    const [pod] = await pods("good");
    if (!pod) throw new Error("no pod");
    expect(pod.spec.nodeName).toBe("job-runner");
    expect(pod.status).toMatchObject({
      phase: "Succeeded",
      containerStatuses: [
        { name: "executor", restartCount: 0, state: { terminated: { exitCode: 0, reason: "Completed" } } },
      ],
    });
    expect(await output(pod)).toEqual([
      "stdout F CAPABILITY=test",
      "stdout F NAME=default",
      "stdout F TOKEN=hush",
      "stdout F X_B=2",
      "stdout F MIXED=test-$(X)-$(NOPE)",
      "stdout F hush",
      "stdout F 1",
      "stdout F PARENT_SECRET=",
    ]);
    expect((await readdir(folderOf(pod))).filter((name) => name.startsWith("order"))).toEqual([]);
    // With the Job its pods and their folders go.
    await cluster.delete(Job, { namespace: "default", name: "good" }, { propagationPolicy: "Background" });
    await expect.poll(() => pods("good"), WITHIN).toEqual([]);
    await expect.poll(() => existsSync(folderOf(pod)), WITHIN).toBe(false);
  });

  it("counts failures up to backoffLimit, with the last words of the program", async () => {
    await run(
      "bad",
      ["print", "before the end", "exit", "7"],
      {},
      { command: ["/usr/bin/conductor", "execute"], args: ["print", "before the end", "exit", "7"], image: "x" },
    );
    expect(await finished("bad")).toBe("Failed BackoffLimitExceeded: Job has reached the specified backoff limit");
    expect((await job("bad")).status).toMatchObject({ failed: 1 });
    const [pod] = await pods("bad");
    expect(pod?.status).toMatchObject({
      phase: "Failed",
      containerStatuses: [{ state: { terminated: { exitCode: 7, reason: "Error", message: "before the end\n" } } }],
    });
  });

  it("fails at once by podFailurePolicy, and ignores what it is told to", async () => {
    const rules = [
      { action: "FailJob", onExitCodes: { operator: "In", values: [42] } },
      { action: "Ignore", onExitCodes: { operator: "In", values: [3] } },
    ] as const;
    await run("policy", ["exit", "42"], { backoffLimit: 5, podFailurePolicy: { rules } });
    const [pod] = await (async () => {
      await finished("policy");
      return pods("policy");
    })();
    expect(await condition("policy")).toBe(
      `Failed PodFailurePolicy: Container executor for pod default/${pod?.metadata.name} failed with exit code 42 matching FailJob rule at index 0`,
    );
    await run("again", ["once", join(directory, "mark")], { backoffLimit: 0, podFailurePolicy: { rules } });
    expect(await finished("again")).toMatch(/^Complete/);
    expect((await job("again")).status).not.toHaveProperty("failed");
    expect(await pods("again")).toHaveLength(2);
  });

  it(
    "ends a program, and what it started, with its deadline, its suspension, its pod and its Job",
    { timeout: 60_000 },
    async () => {
      await run("deadline", ["child", "stubborn", "wait"], { activeDeadlineSeconds: 4 });
      const first = await pidSaid("deadline");
      const [stubborn] = await pods("deadline");
      if (!stubborn) throw new Error("no pod");
      const lines = await output(stubborn);
      const child = Number(
        lines
          .find((line) => line.includes("child"))
          ?.split(" ")
          .at(-1),
      );
      expect(isRunning(child)).toBe(true);
      await run("suspended", ["wait"], { backoffLimit: 3 });
      await run("evicted", ["wait"]);
      await run("deleted", ["wait"]);
      const pids = [first, ...(await Promise.all(["suspended", "evicted", "deleted"].map(pidSaid)))];
      expect(pids.slice(1).map(isRunning)).toEqual([true, true, true]);

      await cluster.patch(
        Job,
        { namespace: "default", name: "suspended" },
        { type: "merge", body: { spec: { suspend: true } } },
      );
      const [evicted] = await pods("evicted");
      await cluster.delete(Pod, { namespace: "default", name: evicted?.metadata.name ?? "" });
      await cluster.delete(Job, { namespace: "default", name: "deleted" }, { propagationPolicy: "Foreground" });

      expect(await finished("deadline")).toBe("Failed DeadlineExceeded: Job was active longer than specified deadline");
      expect(await finished("evicted")).toMatch(/^Failed BackoffLimitExceeded/);
      for (const pid of [...pids, child]) await expect.poll(() => isRunning(pid), WITHIN).toBe(false);
      await expect.poll(() => job("deleted").catch(() => "gone"), WITHIN).toBe("gone");
      await expect
        .poll(async () => (await job("suspended")).status, WITHIN)
        .toMatchObject({
          conditions: [{ type: "Suspended", status: "True", reason: "JobSuspended" }],
        });
      const { status } = await job("suspended");
      expect(status).not.toHaveProperty("failed");
      expect(status).not.toHaveProperty("startTime");
      await expect.poll(() => pods("suspended"), WITHIN).toEqual([]);
      await cluster.patch(
        Job,
        { namespace: "default", name: "suspended" },
        { type: "merge", body: { spec: { suspend: false } } },
      );
      expect(await pidSaid("suspended")).toBeGreaterThan(0);
      expect((await job("suspended")).status?.conditions).toMatchObject([
        { type: "Suspended", status: "False", reason: "JobResumed" },
      ]);
      // A namespace takes its Jobs, pods and processes along.
      const pid = await pidSaid("suspended");
      await cluster.delete(Job, { namespace: "default", name: "suspended" }, { propagationPolicy: "Background" });
      await expect.poll(() => isRunning(pid), WITHIN).toBe(false);
    },
  );

  it("runs as many pods as it is told to, one after the other and at the same time", async () => {
    await run("many", ["print", "x"], { completions: 5, parallelism: 2 });
    expect(await finished("many")).toMatch(/^Complete/);
    expect((await job("many")).status).toMatchObject({ succeeded: 5 });
    expect(await pods("many")).toHaveLength(5);
  });

  it("waits for the ConfigMap a pod needs, and says so", async () => {
    await run("needy", ["env", "A"], {}, { envFrom: [{ configMapRef: { name: "later" } }] });
    await expect
      .poll(async () => (await pods("needy"))[0]?.status?.containerStatuses, WITHIN)
      .toMatchObject([
        { state: { waiting: { reason: "CreateContainerConfigError", message: 'configmap "later" not found' } } },
      ]);
    await cluster.create(ConfigMap, {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "later", namespace: "default" },
      data: { A: "1" },
    });
    expect(await finished("needy")).toMatch(/^Complete/);
  });

  it("leaves any other Job pending with a reason a person understands", async () => {
    await run("foreign", [], {}, { image: "busybox", command: ["sh", "-c", "true"], args: [] });
    await run(
      "pair",
      [],
      {},
      {},
      {
        containers: [
          { name: "a", image: "conductor-exec", args: ["execute"] },
          { name: "b", image: "b" },
        ],
      },
    );
    await expect
      .poll(async () => (await pods("foreign"))[0]?.status?.message, WITHIN)
      .toBe(
        '0/1 nodes are available: this embedded cluster runs no containers, only `conductor execute`, but container "executor" is "sh -c true"; run it on a Kubernetes cluster.',
      );
    const [pod] = await pods("foreign");
    expect(pod?.status).toMatchObject({ phase: "Pending", reason: "Unschedulable" });
    expect((await job("foreign")).status).toMatchObject({ active: 1 });
    await expect
      .poll(
        async () => (await cluster.list(Event, { namespace: "default" })).items.map((event) => event.reason),
        WITHIN,
      )
      .toContain("FailedScheduling");
    await expect
      .poll(async () => (await pods("pair"))[0]?.status?.message, WITHIN)
      .toContain("only `conductor execute`, in Jobs of a single container");
    await cluster.delete(Job, { namespace: "default", name: "foreign" }, { propagationPolicy: "Foreground" });
    await expect.poll(() => job("foreign").catch(() => "gone"), WITHIN).toBe("gone");
  });

  it("keeps the end of a long output and no more than its limit", async () => {
    await run("flood", ["flood", "15000", "print", "the end"]);
    expect(await finished("flood")).toMatch(/^Complete/);
    const [pod] = await pods("flood");
    if (!pod) throw new Error("no pod");
    expect((await output(pod)).at(-1)).toBe("stdout F the end");
    const kept =
      (await podLogFiles(join(directory, "cluster"), systemClock).open({ ...pod }, "executor", false))?.lines ?? [];
    expect(kept.at(-1)?.text).toBe("the end");
    const numbers = kept.slice(0, -1).map((line) => Number.parseInt(line.text, 10));
    expect(numbers.length).toBeGreaterThan(5_000);
    expect(numbers).toEqual(numbers.map((_, i) => 15_000 - numbers.length + i));
    const sizes = await Promise.all(
      (await readdir(folderOf(pod)))
        .filter((name) => name.startsWith("log"))
        .map(async (name) => (await readFile(join(folderOf(pod), name))).length),
    );
    expect(sizes).toHaveLength(2);
    expect(sizes.reduce((sum, size) => sum + size)).toBeLessThanOrEqual(10 * 1024 * 1024);
  });

  it("hands out the log while the program runs, and what was put aside", async () => {
    const logs = podLogFiles(join(directory, "cluster"), systemClock);
    const go = join(directory, "go");
    await run("talks", ["print", "first", "until", go, "print", "last"]);
    await expect.poll(async () => (await pods("talks"))[0]?.status?.phase, WITHIN).toBe("Running");
    const [pod] = await pods("talks");
    if (!pod) throw new Error("no pod");
    await expect.poll(async () => (await logs.open({ ...pod }, "executor", false))?.lines.length, WITHIN).toBe(1);
    const log = await logs.open({ ...pod }, "executor", false);
    expect(log?.lines.map((line) => line.text)).toEqual(["first"]);
    expect(Math.abs(Date.now() - (log?.lines[0]?.atMs ?? 0))).toBeLessThan(60_000);
    expect(await logs.open({ ...pod }, "executor", true)).toBeUndefined();
    await writeFile(go, "");
    const followed: string[] = [];
    for await (const line of log?.follow(new AbortController().signal) ?? []) followed.push(line.text);
    expect(followed).toEqual(["last"]);
  });

  it("ends its programs when the cluster stops, and goes on as the Job's policy says", async () => {
    const rules = [{ action: "Ignore", onPodConditions: [{ type: "DisruptionTarget", status: "True" }] }] as const;
    await run("strict", ["wait"]);
    await run("patient", ["wait"], { podFailurePolicy: { rules } });
    const pids = [await pidSaid("strict"), await pidSaid("patient")];
    await cluster.close();
    expect(pids.map(isRunning)).toEqual([false, false]);
    cluster = await open();
    expect(await finished("strict")).toMatch(/^Failed BackoffLimitExceeded/);
    await expect.poll(async () => (await pods("patient")).map((pod) => pod.status?.phase), WITHIN).toContain("Running");
    await cluster.create(Namespace, { apiVersion: "v1", kind: "Namespace", metadata: { name: "unrelated" } });
  });
});

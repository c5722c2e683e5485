import { chmod, copyFile, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ConfigMap, CustomResourceDefinition } from "../../../api/builtin.ts";
import { ManualClock, systemClock } from "../../../base/clock.ts";
import { SeamError } from "../../../base/errors.ts";
import { silentLog } from "../../../base/log.ts";
import { systemRandom } from "../../../base/random.ts";
import { isExpired } from "../../api-status-error.ts";
import { type EmbeddedCluster, openEmbeddedCluster } from "../embedded-cluster.ts";
import { copyState } from "./copy-state.ts";
import { restoreState, VERSION_BUMP } from "./restore-state.ts";
import { verifyState } from "./verify-state.ts";

describe("a backup of an embedded cluster", () => {
  let root: string;
  let directory: string;
  const opened: EmbeddedCluster[] = [];
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), "seam-backup-"));
    directory = join(root, "cluster");
  });
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((cluster) => cluster.close()));
    await rm(root, { recursive: true });
  });
  const open = async (): Promise<EmbeddedCluster> => {
    const cluster = await openEmbeddedCluster({ directory, clock: systemClock, random: systemRandom, log: silentLog });
    opened.push(cluster);
    return cluster;
  };
  const configMap = (name: string, n: number) => ({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name, namespace: "default" },
    data: { n: String(n) },
  });
  const failure = (work: () => unknown): SeamError => {
    try {
      work();
    } catch (error) {
      if (error instanceof SeamError) return error;
      throw error;
    }
    throw new Error("it did not fail");
  };

  it("is one moment of the cluster, however much is written meanwhile, and is complete when it is restored", async () => {
    const cluster = await open();
    const stop = new AbortController();
    let pairs = 0;
    const writers = Array.from({ length: 8 }, async (_, writer) => {
      for (let n = 0; !stop.signal.aborted; n++) {
        // One after the other: a moment never has the second without the first.
        await cluster.create(ConfigMap, configMap(`a-${writer}-${n}`, n));
        await cluster.create(ConfigMap, configMap(`b-${writer}-${n}`, n));
        pairs++;
      }
    });
    await expect.poll(() => pairs).toBeGreaterThan(200);
    const file = join(root, "copy");
    await cluster.backup(file);
    const before = pairs;
    await expect.poll(() => pairs).toBeGreaterThan(before + 50);
    stop.abort();
    await Promise.all(writers);
    const after = cluster.currentResourceVersion();
    await cluster.close();

    expect((await stat(file)).mode & 0o777).toBe(0o400);
    expect(await readdir(root)).toEqual(["cluster", "copy"]);
    const state = verifyState(file);
    expect(state.problems).toEqual([]);
    expect(state.version).toBeLessThan(Number(after));
    const restored = restoreState(file, directory, systemClock);
    expect(restored.version).toBe(state.version + VERSION_BUMP);
    const again = await open();
    const names = new Set(
      (await again.list(ConfigMap, { namespace: "default" })).items.map((item) => item.metadata.name),
    );
    expect(names.size).toBeGreaterThan(400);
    expect([...names].filter((name) => name.startsWith("b-") && !names.has(name.replace("b-", "a-")))).toEqual([]);
    expect(names.size).toBe(state.objects["/configmaps"]);
  });

  it("refuses a second one at the same time and a file that exists", async () => {
    const cluster = await open();
    const first = cluster.backup(join(root, "one"));
    await expect(cluster.backup(join(root, "two"))).rejects.toThrow("one backup at a time, but one is being made");
    await first;
    await expect(cluster.backup(join(root, "one"))).rejects.toThrow("EEXIST");
    expect(verifyState(join(root, "one")).problems).toEqual([]);
  });

  it("is not restored into a running cluster, and the former state is kept", async () => {
    let cluster = await open();
    await cluster.create(ConfigMap, configMap("old", 1));
    const file = join(root, "copy");
    await cluster.backup(file);
    const { metadata } = await cluster.create(ConfigMap, configMap("lost", 1));
    expect(failure(() => restoreState(file, directory, systemClock)).message).toBe(
      `cluster directory ${directory}: no other process has the cluster open, but process ${process.pid} has; stop that process or use another directory`,
    );
    await cluster.close();
    const clock = new ManualClock(Date.parse("2026-01-02T03:04:05Z"));
    const { previous } = restoreState(file, directory, clock);
    expect(previous).toBe(join(directory, "cluster.sqlite.before-restore-2026-01-02T030405Z"));
    expect(verifyState(previous ?? "").objects["/configmaps"]).toBe(
      (verifyState(file).objects["/configmaps"] ?? 0) + 1,
    );

    cluster = await open();
    const { items } = await cluster.list(ConfigMap, { namespace: "default" });
    expect(items.map((item) => item.metadata.name)).toContain("old");
    expect(items.map((item) => item.metadata.name)).not.toContain("lost");
    // Whoever watched the lost state is sent back to the list.
    const { resourceVersion = "" } = metadata;
    const watch = cluster.watch(ConfigMap, { resourceVersion }, new AbortController().signal)[Symbol.asyncIterator]();
    expect(isExpired(await watch.next().catch((error: unknown) => error))).toBe(true);
    const created = await cluster.create(ConfigMap, configMap("new", 1));
    expect(Number(created.metadata.resourceVersion)).toBeGreaterThan(VERSION_BUMP);
    await cluster.close();
    expect(verifyState(directory).problems).toEqual([]);
  });

  it("is made of a stopped cluster too, and replaces a damaged state", async () => {
    const cluster = await open();
    await cluster.create(ConfigMap, configMap("kept", 1));
    await expect(copyState(directory, join(root, "no"))).rejects.toThrow(`process ${process.pid} has`);
    await cluster.close();
    await copyState(directory, join(root, "copy"));
    await writeFile(join(directory, "cluster.sqlite"), "garbage".repeat(1000));
    expect(failure(() => verifyState(directory)).reason).toBe("Corrupt");
    restoreState(join(root, "copy"), directory, systemClock);
    expect(await (await open()).get(ConfigMap, { namespace: "default", name: "kept" })).toMatchObject({
      data: { n: "1" },
    });
  });

  it("is refused when it is something else", async () => {
    const text = join(root, "text");
    await writeFile(text, "not a database, whatever it is called".repeat(50));
    expect(failure(() => verifyState(text)).message).toBe(
      `${text}: must be a backup, or the directory of an embedded cluster, but file is not a database; name a file that \`seamctl cluster backup\` wrote`,
    );
    const other = join(root, "other");
    const database = new DatabaseSync(other);
    database.exec("CREATE TABLE people (name TEXT)");
    database.close();
    expect(failure(() => restoreState(other, directory, systemClock)).message).toContain(
      "it is a database of something else",
    );
    expect(failure(() => verifyState(join(root, "missing"))).reason).toBe("NotFound");
    expect(failure(() => verifyState(root)).message).toContain("there is no cluster.sqlite in it");
  });

  it("is refused when it is damaged, and every damage is named", async () => {
    const cluster = await open();
    await cluster.create(ConfigMap, configMap("a", 1));
    await cluster.create(CustomResourceDefinition, {
      apiVersion: "apiextensions.k8s.io/v1",
      kind: "CustomResourceDefinition",
      metadata: { name: "things.x.example" },
      spec: {
        group: "x.example",
        scope: "Namespaced",
        names: { plural: "things", kind: "Thing" },
        versions: [{ name: "v1", served: true, storage: true, schema: { openAPIV3Schema: { type: "object" } } }],
      },
    });
    const last = Number((await cluster.create(ConfigMap, configMap("b", 1))).metadata.resourceVersion);
    await cluster.close();
    const file = join(root, "copy");
    const damage = async (statement: string): Promise<readonly string[]> => {
      await rm(file, { force: true });
      await copyState(directory, file);
      await rm(`${file}-damaged`, { force: true });
      await copyFile(file, `${file}-damaged`);
      await chmod(`${file}-damaged`, 0o600);
      const database = new DatabaseSync(`${file}-damaged`);
      database.exec(statement);
      database.close();
      return verifyState(`${file}-damaged`).problems;
    };
    expect(await damage(`DELETE FROM revisions WHERE version = ${last - 1}`)).toEqual([
      expect.stringMatching(
        new RegExp(`^version ${last} \\(/configmaps default/b\\) follows ${last - 2}: what is between`),
      ),
    ]);
    expect(await damage(`UPDATE revisions SET body = '{"half' WHERE version = ${last}`)).toEqual([
      expect.stringContaining(`version ${last} (/configmaps default/b) does not decode`),
    ]);
    expect(await damage(`UPDATE revisions SET name = 'c' WHERE version = ${last}`)).toEqual([
      `version ${last} (/configmaps default/c) is stored under another name than its own`,
    ]);
    expect(await damage(`UPDATE revisions SET body = replace(body, '"type":"object"', '"type":"odd"')`)).toEqual([
      expect.stringContaining("customresourcedefinitions things.x.example: spec.validation.openAPIV3Schema"),
    ]);
    expect(failure(() => restoreState(`${file}-damaged`, directory, systemClock)).message).toContain(
      "must be sound, but has a problem: apiextensions.k8s.io/customresourcedefinitions things.x.example",
    );
  });
});

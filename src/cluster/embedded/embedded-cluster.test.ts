import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ConfigMap, CustomResourceDefinition, Namespace } from "../../api/builtin.ts";
import { ManualClock, systemClock } from "../../base/clock.ts";
import { SeamError } from "../../base/errors.ts";
import { silentLog } from "../../base/log.ts";
import { systemRandom } from "../../base/random.ts";
import { isExpired, isStatus } from "../api-status-error.ts";
import { type EmbeddedCluster, type EmbeddedClusterOptions, openEmbeddedCluster } from "./embedded-cluster.ts";
import { BOOKMARK_INTERVAL_MS } from "./watch/watch-cache.ts";

describe("openEmbeddedCluster", () => {
  let directory: string;
  const opened: EmbeddedCluster[] = [];

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "seam-embedded-"));
  });
  afterEach(async () => {
    for (const cluster of opened.splice(0)) await cluster.close();
    await rm(directory, { recursive: true });
  });

  const open = async (options: Partial<EmbeddedClusterOptions> = {}): Promise<EmbeddedCluster> => {
    const cluster = await openEmbeddedCluster({
      directory,
      clock: systemClock,
      random: systemRandom,
      log: silentLog,
      ...options,
    });
    opened.push(cluster);
    return cluster;
  };
  const refused = async (options: Partial<EmbeddedClusterOptions> = {}): Promise<SeamError> => {
    try {
      await open(options);
    } catch (error) {
      if (error instanceof SeamError) return error;
      throw error;
    }
    throw new Error("it was opened");
  };
  const configMap = (name: string, data = "x") => ({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name, namespace: "default" },
    data: { data },
  });

  it("keeps everything across a restart: objects, kinds, versions, watch history, identity", async () => {
    let cluster = await open();
    const { uid } = (await cluster.get(Namespace, { name: "kube-system" })).metadata;
    await cluster.create(CustomResourceDefinition, {
      apiVersion: "apiextensions.k8s.io/v1",
      kind: "CustomResourceDefinition",
      metadata: { name: "widgets.example.com" },
      spec: {
        group: "example.com",
        scope: "Namespaced",
        names: { plural: "widgets", kind: "Widget" },
        versions: [{ name: "v1", served: true, storage: true, schema: { openAPIV3Schema: { type: "object" } } }],
      },
    });
    const kept = await cluster.create(ConfigMap, configMap("kept"));
    await cluster.create(ConfigMap, configMap("gone"));
    await cluster.delete(ConfigMap, { namespace: "default", name: "gone" });
    const version = cluster.currentResourceVersion();
    await cluster.close();

    cluster = await open();
    expect(cluster.currentResourceVersion()).toBe(version);
    expect((await cluster.get(Namespace, { name: "kube-system" })).metadata.uid).toBe(uid);
    expect(await cluster.get(ConfigMap, { namespace: "default", name: "kept" })).toEqual(kept);
    expect((await cluster.discover()).byKind("example.com", "", "Widget")?.resource).toBe("widgets");
    const seen: string[] = [];
    const stop = new AbortController();
    const { resourceVersion = "" } = kept.metadata;
    for await (const event of cluster.watch(ConfigMap, { resourceVersion }, stop.signal)) {
      if (event.type !== "BOOKMARK") seen.push(`${event.type} ${event.object.metadata.name}`);
      if (seen.length === 2) stop.abort();
    }
    expect(seen).toEqual(["ADDED gone", "DELETED gone"]);
    const next = await cluster.create(ConfigMap, configMap("next"));
    expect(Number(next.metadata.resourceVersion)).toBe(Number(version) + 1);
  });

  it("never gives a version out twice, even when the highest was a compacted deletion", async () => {
    let cluster = await open();
    await cluster.create(ConfigMap, configMap("a"));
    await cluster.delete(ConfigMap, { namespace: "default", name: "a" });
    const version = Number(cluster.currentResourceVersion());
    await cluster.compactHistory();
    await cluster.close();
    cluster = await open();
    const next = await cluster.create(ConfigMap, configMap("b"));
    expect(Number(next.metadata.resourceVersion)).toBe(version + 1);
  });

  it("frees what nothing can reach any more when it compacts", async () => {
    const cluster = await open();
    await cluster.create(ConfigMap, configMap("a", "0"));
    for (let i = 1; i <= 20; i++) {
      await cluster.patch(
        ConfigMap,
        { namespace: "default", name: "a" },
        { type: "merge", body: { data: { data: `${i}` } } },
      );
    }
    await cluster.compactHistory();
    await cluster.close();
    const database = new DatabaseSync(join(directory, "cluster.sqlite"), { readOnly: true });
    const rows = database.prepare("SELECT name FROM revisions WHERE collection = '/configmaps'").all();
    database.close();
    expect(rows).toHaveLength(1);
  });

  it("refuses a directory that is open, naming the process, and lets it go when closed", async () => {
    const first = await open();
    const error = await refused();
    expect(error.reason).toBe("AlreadyOpen");
    expect(error.message).toBe(
      `cluster directory ${directory}: no other process has the cluster open, but process ${process.pid} has; stop that process or use another directory`,
    );
    await first.close();
    await open();
  });

  it("refuses state of a newer layout and leaves it as it is", async () => {
    await (await open()).close();
    const file = join(directory, "cluster.sqlite");
    const database = new DatabaseSync(file);
    database.exec("PRAGMA user_version = 7");
    database.close();
    const before = await readFile(file);
    const error = await refused();
    expect(error.reason).toBe("NewerVersion");
    expect(error.message).toContain("layout version 1 or older, but it has 7");
    expect(await readFile(file)).toEqual(before);
  });

  it("refuses what is no database of ours and a path that cannot be a directory", async () => {
    await writeFile(join(directory, "cluster.sqlite"), "this is not a database".repeat(100));
    expect((await refused()).reason).toBe("Corrupt");
    const file = join(directory, "file");
    await writeFile(file, "");
    expect((await refused({ directory: file })).reason).toBe("NotWritable");
    expect((await refused({ directory: join(file, "below") })).reason).toBe("NotWritable");
  });

  it("refuses writes on a full disk, keeps what was acknowledged, and goes on when there is space", async () => {
    let cluster = await open({ maxStateBytes: 256 * 1024 });
    const acknowledged: string[] = [];
    let failure: unknown;
    for (let i = 0; i < 100 && failure === undefined; i++) {
      try {
        await cluster.create(ConfigMap, configMap(`c-${i}`, "x".repeat(10_000)));
        acknowledged.push(`c-${i}`);
      } catch (error) {
        failure = error;
      }
    }
    expect(isStatus(failure, "InsufficientStorage")).toBe(true);
    expect(String(failure)).toContain("needs space");
    expect(acknowledged.length).toBeGreaterThan(5);
    const names = async () =>
      (await cluster.list(ConfigMap, { namespace: "default" })).items.map((item) => item.metadata.name);
    expect(await names()).toEqual(acknowledged.toSorted());
    await cluster.close();
    cluster = await open();
    expect(await names()).toEqual(acknowledged.toSorted());
    await cluster.create(ConfigMap, configMap("more"));
  });

  it("refuses all writes built on one that could not be stored", async () => {
    const cluster = await open({ maxStateBytes: 128 * 1024 });
    const results = await Promise.allSettled([
      cluster.create(ConfigMap, configMap("big", "x".repeat(400_000))),
      cluster.patch(
        ConfigMap,
        { namespace: "default", name: "big" },
        { type: "merge", body: { metadata: { labels: { a: "b" } } } },
      ),
    ]);
    expect(results.map((result) => result.status)).toEqual(["rejected", "rejected"]);
    expect((await cluster.list(ConfigMap, { namespace: "default" })).items).toEqual([]);
  });

  it("closes on its signal: watches end, later writes are refused, the directory is free", async () => {
    const stop = new AbortController();
    const cluster = await open({ signal: stop.signal });
    const never = new AbortController();
    const watching = (async () => {
      for await (const event of cluster.watch(ConfigMap, {}, never.signal)) void event;
    })();
    stop.abort();
    await watching;
    await cluster.closed;
    await expect(cluster.create(ConfigMap, configMap("late"))).rejects.toThrow("the cluster is closed");
    await open();
  });

  it("hands out objects that readers cannot change", async () => {
    const cluster = await open();
    const created = await cluster.create(ConfigMap, configMap("a"));
    expect(() => Object.assign(created.metadata, { name: "b" })).toThrow(TypeError);
  });

  it("sends bookmarks about once a minute to watches that ask for them", async () => {
    const clock = new ManualClock();
    const cluster = await open({ clock });
    const stop = new AbortController();
    const events = cluster.watch(
      ConfigMap,
      { resourceVersion: cluster.currentResourceVersion(), allowWatchBookmarks: true },
      stop.signal,
    );
    const iterator = events[Symbol.asyncIterator]();
    const next = iterator.next();
    await cluster.create(Namespace, { apiVersion: "v1", kind: "Namespace", metadata: { name: "other" } });
    await clock.advance(BOOKMARK_INTERVAL_MS);
    const { value } = await next;
    expect(value).toEqual({
      type: "BOOKMARK",
      resourceVersion: cluster.currentResourceVersion(),
      initialEventsEnd: false,
    });
    stop.abort();
    await iterator.next();
  });

  it("compacts by itself when the history grows large, and tells watchers that resume too late", async () => {
    const cluster = await open();
    const first = await cluster.create(ConfigMap, configMap("a"));
    const body = "x".repeat(1_000_000);
    for (let i = 0; i < 60; i++) {
      await cluster.patch(
        ConfigMap,
        { namespace: "default", name: "a" },
        { type: "merge", body: { data: { data: `${i}${body}` } } },
      );
    }
    const { resourceVersion = "" } = first.metadata;
    const events = cluster.watch(ConfigMap, { resourceVersion }, new AbortController().signal);
    const iterator = events[Symbol.asyncIterator]();
    const failure: unknown = await iterator.next().catch((error: unknown) => error);
    expect(isExpired(failure)).toBe(true);
  });

  it("opens a directory that does not exist yet, readable by its owner only", async () => {
    const nested = join(directory, "a", "b");
    await mkdir(join(directory, "a"));
    await open({ directory: nested });
    expect((await readFile(join(nested, "owner.pid"), "utf8")).trim()).toBe(String(process.pid));
  });
});

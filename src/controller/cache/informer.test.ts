import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { ConfigMap, type ConfigMapObject, Namespace } from "../../api/builtin.ts";
import { ManualClock, systemClock } from "../../base/clock.ts";
import { silentLog } from "../../base/log.ts";
import { SeededRandom, systemRandom } from "../../base/random.ts";
import { ApiStatusError } from "../../cluster/api-status-error.ts";
import type { Cluster, ListOptions, WatchEvent, WatchOptions } from "../../cluster/cluster.ts";
import { type EmbeddedCluster, openEmbeddedCluster } from "../../cluster/embedded/embedded-cluster.ts";
import type { CacheEvent } from "./indexed-store.ts";
import { type Informer, startInformer } from "./informer.ts";

let directory: string;
let cluster: EmbeddedCluster;
let stop: AbortController;
let space = 0;
let namespace: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "seam-informer-"));
  cluster = await openEmbeddedCluster({ directory, clock: systemClock, random: systemRandom, log: silentLog });
});
afterAll(async () => {
  await cluster.close();
  await rm(directory, { recursive: true, force: true });
});
beforeEach(async () => {
  stop = new AbortController();
  namespace = `space-${++space}`;
  await cluster.create(Namespace, { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } });
});
afterEach(() => stop.abort(new Error("test ends")));

function start(
  source: Cluster = cluster,
  clock: ManualClock | typeof systemClock = systemClock,
): Informer<ConfigMapObject> {
  return startInformer({
    cluster: source,
    type: ConfigMap,
    namespace,
    indexes: { colour: (object) => (object.data?.["colour"] === undefined ? [] : [object.data["colour"]]) },
    clock,
    random: new SeededRandom(1),
    log: silentLog,
    signal: stop.signal,
  });
}

async function put(name: string, colour: string): Promise<void> {
  await cluster.patch(
    ConfigMap,
    { namespace, name },
    {
      type: "apply",
      body: { apiVersion: "v1", kind: "ConfigMap", metadata: { name, namespace }, data: { colour } },
    },
    { fieldManager: "test", force: true },
  );
}

/** A cluster whose watches a test can break: as they are opened, or those that run. */
function breakable(failWatch: (options: WatchOptions, count: number) => Error | undefined = () => undefined): {
  readonly cluster: Cluster;
  readonly watches: WatchOptions[];
  cut(error: Error): void;
} {
  const watches: WatchOptions[] = [];
  let running = Promise.withResolvers<never>();
  const wrapped = new Proxy<Cluster>(cluster, {
    get(target, property) {
      if (property !== "watch") {
        const value: unknown = Reflect.get(target, property, target);
        return typeof value === "function" ? value.bind(target) : value;
      }
      return (...[type, options, signal]: Parameters<Cluster["watch"]>): AsyncIterable<WatchEvent<ConfigMapObject>> => {
        watches.push(options);
        const error = failWatch(options, watches.length);
        if (error !== undefined) return failing(error);
        return until(running.promise, target.watch(type as typeof ConfigMap, options, signal));
      };
    },
  });
  return {
    cluster: wrapped,
    watches,
    cut: (cause) => {
      const { reject } = running;
      running = Promise.withResolvers<never>();
      running.promise.catch(() => {
        // nobody watches just now
      });
      reject(cause);
    },
  };
}

async function* until<T>(broken: Promise<never>, events: AsyncIterable<T>): AsyncIterable<T> {
  const iterator = events[Symbol.asyncIterator]();
  for (;;) {
    const next = await Promise.race([iterator.next(), broken]);
    if (next.done === true) return;
    yield next.value;
  }
}

function failing(reason: Error): AsyncIterable<never> {
  return { [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(reason) }) };
}

/** A server whose whole lists break off; its pages come through. */
function breakingOff(source: Cluster): { readonly cluster: Cluster; readonly lists: ListOptions[] } {
  const lists: ListOptions[] = [];
  const wrapped = new Proxy<Cluster>(source, {
    get(target, property) {
      const value: unknown = Reflect.get(target, property, target);
      if (property !== "list") return typeof value === "function" ? value.bind(target) : value;
      return (...[type, options]: Parameters<Cluster["list"]>): Promise<unknown> => {
        lists.push(options ?? {});
        if (options?.limit === undefined) return Promise.reject(new Error("the list was cut off"));
        return target.list(type, { ...options, limit: 2 });
      };
    },
  });
  return { cluster: wrapped, lists };
}

describe("informer", () => {
  it("takes in a list over several turns: the whole cache first, then every listener in order, then it is synced", async () => {
    const names = Array.from({ length: 40 }, (_, i) => `item-${i + 10}`);
    for (const name of names) await put(name, "red");
    let ms = 0;
    let turn = 0;
    let ticking = setImmediate(function tick() {
      turn++;
      ticking = setImmediate(tick);
    });
    const informer = start(cluster, { ...systemClock, monotonic: () => ms++ });
    const heard: { readonly name: string; readonly turn: number; readonly held: number; readonly synced: boolean }[] =
      [];
    const late: string[] = [];
    informer.subscribe(({ object }) => {
      const held = informer.byIndex("colour", "red").length;
      heard.push({ name: object.metadata.name, turn, held, synced: informer.hasSynced });
      if (heard.length === 10) informer.subscribe((event) => late.push(event.object.metadata.name));
    });
    const left: string[] = [];
    const leave = informer.subscribe(({ object }) => {
      if (left.push(object.metadata.name) === 5) leave();
    });
    await informer.synced;
    clearImmediate(ticking);
    expect(heard.map(({ name }) => name)).toEqual(names);
    expect(late).toEqual(names);
    expect(left).toEqual(names.slice(0, 5));
    expect(heard.every(({ held, synced }) => held === names.length && !synced)).toBe(true);
    // A slice of 5 ms is five steps of this clock.
    expect(new Set(heard.map((event) => event.turn)).size).toBeGreaterThanOrEqual(names.length / 6);
  });

  it("holds what exists, follows changes and keeps its indexes", async () => {
    await put("a", "red");
    const informer = start();
    await informer.synced;
    expect(informer.byIndex("colour", "red").map(({ metadata }) => metadata.name)).toEqual(["a"]);
    const events: string[] = [];
    informer.subscribe((event: CacheEvent<ConfigMapObject>) => {
      events.push(`${event.type} ${event.object.metadata.name} ${event.object.data?.["colour"] ?? ""}`);
    });
    await put("b", "red");
    await put("a", "blue");
    await cluster.delete(ConfigMap, { namespace, name: "b" });
    await eventually(() => expect(events).toHaveLength(4));
    expect(events).toEqual(["ADDED a red", "ADDED b red", "MODIFIED a blue", "DELETED b red"]);
    expect(informer.byIndex("colour", "red")).toEqual([]);
    expect(informer.byIndex("colour", "blue")).toHaveLength(1);
    stop.abort(new Error("over"));
    await informer.closed;
  });

  it("resumes where it was after a broken watch, without listing again", async () => {
    const { cluster: broken, watches, cut } = breakable();
    const clock = new ManualClock();
    const informer = start(broken, clock);
    await informer.synced;
    await eventually(() => expect(watches).toHaveLength(1));
    await put("seen", "red");
    await eventually(() => expect(informer.get({ namespace, name: "seen" })).toBeDefined());
    const { resourceVersion } = informer.get({ namespace, name: "seen" })?.metadata ?? {};
    cut(new Error("reset"));
    await eventually(() => expect(clock.sleeping).toBe(1));
    await put("late", "green");
    await clock.advance(1000);
    await eventually(() => expect(informer.get({ namespace, name: "late" })).toBeDefined());
    expect(watches).toHaveLength(2);
    expect(watches[1]?.resourceVersion).toBe(resourceVersion);
  });

  it("lists again after 410 and says what changed meanwhile, deletions too", async () => {
    await put("old", "red");
    const { cluster: broken, watches, cut } = breakable();
    const informer = start(broken);
    const events: string[] = [];
    await informer.synced;
    await eventually(() => expect(watches).toHaveLength(1));
    informer.subscribe((event) => events.push(`${event.type} ${event.object.metadata.name}`));
    const writes = Promise.all([cluster.delete(ConfigMap, { namespace, name: "old" }), put("new", "red")]);
    cut(new ApiStatusError(410, "Expired", "too old resource version"));
    await writes;
    await eventually(() => expect(events.toSorted()).toEqual(["ADDED new", "ADDED old", "DELETED old"]));
  });

  it("never stops trying, with growing pauses", async () => {
    const { cluster: broken, watches } = breakable(() => new ApiStatusError(503, "ServiceUnavailable", "not now"));
    const clock = new ManualClock();
    const informer = start(broken, clock);
    while (watches.length <= 20) {
      await eventually(() => expect(clock.sleeping).toBe(1));
      await clock.advance(30_000);
    }
    stop.abort(new Error("over"));
    await informer.closed;
    expect(clock.sleeping).toBe(0);
  });

  it("lists in pages once a whole list broke off, and shows nothing before the last page", async () => {
    for (const name of ["a", "b", "c"]) await put(name, "red");
    const { cluster: source, lists } = breakingOff(cluster);
    const clock = new ManualClock();
    const informer = start(source, clock);
    await eventually(() => expect(clock.sleeping).toBe(1));
    expect(informer.hasSynced).toBe(false);
    expect(informer.list()).toEqual([]);
    await clock.advance(1000);
    await informer.synced;
    expect(informer.list().map(({ metadata }) => metadata.name)).toEqual(["a", "b", "c"]);
    expect(lists.map(({ limit, continue: next }) => [limit, next !== undefined])).toEqual([
      [undefined, false],
      [500, false],
      [500, true],
    ]);
    await put("d", "red");
    await eventually(() => expect(informer.get({ namespace, name: "d" })).toBeDefined());
  });

  it("asks a server that refuses a whole list for the same again", async () => {
    await put("a", "red");
    const clock = new ManualClock();
    const list = vi.spyOn(cluster, "list");
    list.mockRejectedValueOnce(new ApiStatusError(429, "TooManyRequests", "not now"));
    const informer = start(cluster, clock);
    await eventually(() => expect(clock.sleeping).toBe(1));
    await clock.advance(1000);
    await informer.synced;
    expect(list.mock.calls.map(([, options]) => options?.limit)).toEqual([undefined, undefined]);
    list.mockRestore();
  });

  it("keeps serving its other listeners when one throws", async () => {
    const informer = start();
    await informer.synced;
    const seen: string[] = [];
    informer.subscribe(() => {
      throw new Error("a listener's bug");
    });
    informer.subscribe((event) => seen.push(event.object.metadata.name));
    await put("a", "red");
    await eventually(() => expect(seen).toEqual(["a"]));
  });

  it("rejects synced when it is stopped before the first list", async () => {
    stop.abort(new Error("early"));
    const informer = start();
    await expect(informer.synced).rejects.toThrow("early");
    await informer.closed;
  });
});

function eventually(check: () => Promise<void> | void): Promise<void> {
  return vi.waitFor(check, { timeout: 10_000, interval: 5 });
}

import { ConfigMap, CustomResourceDefinition, Namespace } from "../../src/api/builtin.ts";
import type { JsonObject } from "../../src/base/json.ts";
import type { Cluster } from "../../src/cluster/cluster.ts";
import { Widget, widgetCrd } from "../../test/support/widget.ts";

/** Namespace of everything the bench writes. */
export const BENCH_NAMESPACE = "bench";
const MANAGER = { fieldManager: "bench" };
const TEXT = "x".repeat(1024);

/** Namespace and CRD. */
export async function prepare(cluster: Cluster): Promise<void> {
  await cluster.create(
    Namespace,
    { apiVersion: "v1", kind: "Namespace", metadata: { name: BENCH_NAMESPACE } },
    MANAGER,
  );
  await cluster.create(CustomResourceDefinition, widgetCrd, MANAGER);
  for (;;) {
    const { status } = await cluster.get(CustomResourceDefinition, { name: widgetCrd.metadata.name });
    if (status?.conditions?.some(({ type, status: is }) => type === "Established" && is === "True") === true) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Creates `count` ConfigMaps of 1 KiB; operations per second. */
export function createConfigMaps(cluster: Cluster, prefix: string, count: number, inFlight: number): Promise<number> {
  return rate(count, inFlight, async (i) => {
    const metadata = { name: `${prefix}-${i}`, namespace: BENCH_NAMESPACE };
    await cluster.create(ConfigMap, { apiVersion: "v1", kind: "ConfigMap", metadata, data: { text: TEXT } }, MANAGER);
  });
}

/** Server-side applies to ConfigMaps, each twice in its life: created, then changed; operations per second. */
export function applyConfigMaps(cluster: Cluster, count: number, inFlight: number): Promise<number> {
  const distinct = Math.ceil(count / 2);
  return rate(count, inFlight, async (i) => {
    const key = { name: `applied-${i % distinct}`, namespace: BENCH_NAMESPACE };
    const body: JsonObject = {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { ...key, labels: { round: String(Math.floor(i / distinct)) } },
      data: { text: TEXT, round: String(Math.floor(i / distinct)) },
    };
    await cluster.patch(ConfigMap, key, { type: "apply", body }, { ...MANAGER, force: true });
  });
}

/** Creates custom objects for the lists. */
export function createWidgets(cluster: Cluster, count: number): Promise<number> {
  return rate(count, 64, async (i) => {
    const metadata = { name: `widget-${i}`, namespace: BENCH_NAMESPACE, labels: { shelf: String(i % 50) } };
    await cluster.create(Widget, {
      apiVersion: "example.com/v1",
      kind: "Widget",
      metadata,
      spec: { size: 1 + (i % 9) },
    });
  });
}

/** One whole list in one answer, milliseconds. */
export async function listWidgets(cluster: Cluster): Promise<number> {
  const began = performance.now();
  await cluster.list(Widget, { namespace: BENCH_NAMESPACE });
  return performance.now() - began;
}

/** Changes one object while `watchers` watch; the time at which each heard of it, milliseconds, over `changes` changes. */
export async function fanOut(cluster: Cluster, watchers: number, changes: number): Promise<readonly number[]> {
  const stop = new AbortController();
  const key = { name: "watched", namespace: BENCH_NAMESPACE };
  const { metadata } = await cluster.create(ConfigMap, { apiVersion: "v1", kind: "ConfigMap", metadata: key }, MANAGER);
  const times: number[] = [];
  let began = 0;
  let open = 0;
  let heard = (): void => {};
  const watching = Array.from({ length: watchers }, async () => {
    const options = { namespace: BENCH_NAMESPACE, fieldSelector: `metadata.name=${key.name}` };
    const from = metadata.resourceVersion;
    for await (const event of cluster.watch(
      ConfigMap,
      { ...options, ...(from && { resourceVersion: from }) },
      stop.signal,
    )) {
      if (event.type !== "MODIFIED") continue;
      times.push(performance.now() - began);
      if (--open === 0) heard();
    }
  });
  // The first change shows that every watch is open; it is not measured.
  for (let change = 0; change <= changes; change++) {
    open = watchers;
    const all = new Promise<void>((resolve) => {
      heard = resolve;
    });
    began = performance.now();
    await cluster.patch(ConfigMap, key, { type: "merge", body: { data: { change: String(change) } } }, MANAGER);
    await all;
    if (change === 0) times.length = 0;
  }
  stop.abort();
  await Promise.allSettled(watching);
  return times;
}

async function rate(count: number, inFlight: number, work: (i: number) => Promise<void>): Promise<number> {
  let next = 0;
  const began = performance.now();
  await Promise.all(
    Array.from({ length: inFlight }, async () => {
      while (next < count) await work(next++);
    }),
  );
  return (count * 1000) / (performance.now() - began);
}

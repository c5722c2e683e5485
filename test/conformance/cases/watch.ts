import { expect, it } from "vitest";
import { ConfigMap } from "../../../src/api/builtin.ts";
import { isExpired } from "../../../src/cluster/api-status-error.ts";
import { type Harness, summary, takeEvents } from "../harness.ts";

export function watchCases(h: Harness): void {
  const create = (namespace: string, name: string, labels: Record<string, string> = {}) =>
    h.cluster().create(ConfigMap, { apiVersion: "v1", kind: "ConfigMap", metadata: { name, namespace, labels } });
  const label = (namespace: string, name: string, value: string | null) =>
    h.cluster().patch(ConfigMap, { namespace, name }, { type: "merge", body: { metadata: { labels: { on: value } } } });

  it("begins with what exists, then tells changes in order", async () => {
    const namespace = await h.namespace();
    await create(namespace, "a");
    const begun = Promise.withResolvers<void>();
    const fieldSelector = "metadata.name!=kube-root-ca.crt";
    const events = takeEvents(h.cluster(), ConfigMap, { namespace, fieldSelector }, 4, begun.resolve);
    await begun.promise;
    await create(namespace, "b");
    await label(namespace, "b", "1");
    await h.cluster().delete(ConfigMap, { namespace, name: "a" });
    expect(summary(await events)).toEqual(["ADDED a", "ADDED b", "MODIFIED b", "DELETED a"]);
  });

  it("resumes after a resourceVersion", async () => {
    const namespace = await h.namespace();
    const a = await create(namespace, "a");
    await create(namespace, "b");
    await h.cluster().delete(ConfigMap, { namespace, name: "a" });
    const { resourceVersion = "" } = a.metadata;
    const fieldSelector = "metadata.name!=kube-root-ca.crt";
    const events = await takeEvents(h.cluster(), ConfigMap, { namespace, resourceVersion, fieldSelector }, 2);
    expect(summary(events)).toEqual(["ADDED b", "DELETED a"]);
    const [, deleted] = events;
    // The deletion carries a version of its own: a watch that resumes there must not see it again.
    if (deleted?.type !== "DELETED") throw new Error("expected a deletion");
    expect(Number(deleted.object.metadata.resourceVersion)).toBeGreaterThan(Number(resourceVersion));
  });

  it("turns entering and leaving a selection into ADDED and DELETED", async () => {
    const namespace = await h.namespace();
    const { resourceVersion } = await h.cluster().list(ConfigMap, { namespace });
    const events = takeEvents(h.cluster(), ConfigMap, { namespace, labelSelector: "on=1", resourceVersion }, 4);
    await create(namespace, "x", { on: "0" });
    await label(namespace, "x", "1");
    await h.cluster().patch(ConfigMap, { namespace, name: "x" }, { type: "merge", body: { data: { k: "v" } } });
    await label(namespace, "x", null);
    await label(namespace, "x", "1");
    expect(summary(await events)).toEqual(["ADDED x", "MODIFIED x", "DELETED x", "ADDED x"]);
  });

  it("marks the end of initial events with a bookmark", async () => {
    const namespace = await h.namespace();
    await create(namespace, "a", { initial: "yes" });
    const events = await takeEvents(
      h.cluster(),
      ConfigMap,
      {
        namespace,
        labelSelector: "initial=yes",
        sendInitialEvents: true,
        allowWatchBookmarks: true,
      },
      2,
    );
    expect(summary(events)).toEqual(["ADDED a", "BOOKMARK"]);
    const bookmark = events[1];
    expect(bookmark?.type === "BOOKMARK" && bookmark.initialEventsEnd).toBe(true);
  });

  it("ends when its signal aborts and when its time is up", async () => {
    const namespace = await h.namespace();
    const stop = new AbortController();
    const watching = (async () => {
      for await (const event of h.cluster().watch(ConfigMap, { namespace }, stop.signal)) void event;
    })();
    stop.abort();
    await watching;
    const never = new AbortController();
    for await (const event of h.cluster().watch(ConfigMap, { namespace, timeoutSeconds: 1 }, never.signal)) void event;
  });

  it("answers 410 for a version that is compacted", async (context) => {
    const { compact } = h.target();
    if (!compact) {
      context.skip("the target cannot be compacted");
      return;
    }
    const namespace = await h.namespace();
    const a = await create(namespace, "a");
    await label(namespace, "a", "1");
    await compact();
    const { resourceVersion = "" } = a.metadata;
    let failure: unknown;
    try {
      await takeEvents(h.cluster(), ConfigMap, { namespace, resourceVersion }, 1);
    } catch (error) {
      failure = error;
    }
    expect(isExpired(failure)).toBe(true);
    expect(String(failure)).toContain("too old resource version");
  });

  it("gives every one of many watchers every change once", async () => {
    const namespace = await h.namespace();
    const labelSelector = "many=yes";
    const { resourceVersion } = await h.cluster().list(ConfigMap, { namespace });
    const watchers = Array.from({ length: 20 }, () =>
      takeEvents(h.cluster(), ConfigMap, { namespace, labelSelector, resourceVersion }, 10),
    );
    for (let i = 0; i < 10; i++) await create(namespace, `m-${i}`, { many: "yes" });
    const expected = Array.from({ length: 10 }, (_, i) => `ADDED m-${i}`);
    for (const events of await Promise.all(watchers)) expect(summary(events)).toEqual(expected);
  });
}

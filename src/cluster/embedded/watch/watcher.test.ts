import { describe, expect, it } from "vitest";
import type { Unstructured } from "../../../api/object.ts";
import { isExpired } from "../../api-status-error.ts";
import type { StoreEvent } from "../store/collection.ts";
import { MAX_WATCHER_QUEUE, Watcher } from "./watcher.ts";

function event(version: number): StoreEvent {
  const object: Unstructured = {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "a", resourceVersion: `${version}` },
  };
  return { version, type: "MODIFIED", collection: "/configmaps", key: "a", object, previous: undefined, size: 10 };
}

describe("Watcher", () => {
  const watcher = () => new Watcher({ selector: undefined, present: (object) => object, bookmarks: false });

  it("cuts a reader that is too slow with 410 and keeps nothing for it", async () => {
    const slow = watcher();
    for (let i = 0; i <= MAX_WATCHER_QUEUE; i++) slow.offer(event(i));
    const failure: unknown = await slow.next().catch((error: unknown) => error);
    expect(isExpired(failure)).toBe(true);
    expect(String(failure)).toContain("the watch is too slow");
    slow.offer(event(99_999));
    await expect(slow.next()).rejects.toBe(failure);
  });

  it("hands over what is queued before a quiet end", async () => {
    const quiet = watcher();
    quiet.offer(event(1));
    quiet.end();
    expect(await quiet.next()).toHaveLength(1);
    expect(await quiet.next()).toBeUndefined();
  });
});

import { describe, expect, it, vi } from "vitest";
import { systemClock } from "../../base/clock.ts";
import { ReadyQueue } from "./ready-queue.ts";

function harness(): {
  readonly queue: ReadyQueue<string, string>;
  readonly log: string[];
  settle(error?: Error): Promise<void>;
} {
  const log: string[] = [];
  let waiting: { resolve(): void; reject(error: Error): void } | undefined;
  const queue = new ReadyQueue<string, string>({
    clock: systemClock,
    persist: (writes) => {
      log.push(`persist ${writes.join("+")}`);
      return new Promise((resolve, reject) => {
        waiting = { resolve, reject };
      });
    },
    perform: (effect) => log.push(`perform ${effect}`),
    failed: (error) => log.push(String(error)),
    lagging: (lags) => log.push(`lagging ${lags}`),
  });
  return {
    queue,
    log,
    settle: async (error) => {
      if (error === undefined) waiting?.resolve();
      else waiting?.reject(error);
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

describe("ReadyQueue", () => {
  it("performs effects only after the writes of their Ready and of all before are durable, in order", async () => {
    const { queue, log, settle } = harness();
    queue.push({ atOnce: [], persist: [], afterPersist: ["at once"] });
    queue.push({ atOnce: [], persist: ["a"], afterPersist: ["after a"] });
    queue.push({ atOnce: [], persist: [], afterPersist: ["behind a"] });
    queue.push({ atOnce: [], persist: ["b"], afterPersist: ["after b"] });
    expect(log).toEqual(["perform at once", "persist a"]);
    await settle();
    expect(log.slice(2)).toEqual(["perform after a", "persist b"]);
    await settle();
    expect(log.slice(4)).toEqual(["perform behind a", "perform after b"]);
  });

  it("performs nothing after a failed write", async () => {
    const { queue, log, settle } = harness();
    queue.push({ atOnce: [], persist: ["a"], afterPersist: ["after a"] });
    queue.push({ atOnce: [], persist: [], afterPersist: ["behind"] });
    await settle(new Error("disk full"));
    queue.push({ atOnce: [], persist: [], afterPersist: ["later"] });
    expect(log).toEqual(["persist a", "Error: disk full"]);
  });

  it("says when the disk lags and when it has caught up", async () => {
    const { queue, log, settle } = harness();
    for (let i = 0; i < 40; i++) queue.push({ atOnce: [], persist: [`${i}`], afterPersist: [""] });
    expect(log).toEqual(["persist 0", "lagging true"]);
    await settle();
    await settle();
    expect(log.at(-1)).toBe("lagging false");
  });

  it("performs what relies on nothing before anything else", async () => {
    const { queue, log, settle } = harness();
    queue.push({ atOnce: [], persist: ["a"], afterPersist: ["after a"] });
    queue.push({ atOnce: ["now"], persist: ["b"], afterPersist: ["after b"] });
    expect(log).toEqual(["persist a", "perform now"]);
    await settle();
    expect(log.slice(2)).toEqual(["perform after a", "persist b"]);
  });

  it("lets writes that no effect waits for share the transaction of the next, and not rest for ever", async () => {
    const { queue, log, settle } = harness();
    queue.push({ atOnce: [], persist: ["a"], afterPersist: [] });
    queue.push({ atOnce: [], persist: ["b"], afterPersist: [] });
    expect(log).toEqual([]);
    queue.push({ atOnce: [], persist: ["c"], afterPersist: ["after c"] });
    expect(log).toEqual(["persist a+b+c"]);
    await settle();
    queue.push({ atOnce: [], persist: ["d"], afterPersist: [] });
    await vi.waitFor(() => expect(log.at(-1)).toBe("persist d"));
  });
});

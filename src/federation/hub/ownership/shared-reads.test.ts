import { expect, it } from "vitest";
import { SharedReads } from "./shared-reads.ts";

it("answers a burst with two reads, each begun no earlier than the question", async () => {
  let value = 0;
  const pending: (() => void)[] = [];
  const reads = new SharedReads(
    (_key) =>
      new Promise<number>((resolve) => {
        const at = value;
        pending.push(() => resolve(at));
      }),
  );
  const first = reads.read("a");
  value = 1;
  const burst = [reads.read("a"), reads.read("a"), reads.read("a")];
  value = 2;
  pending.shift()?.();
  expect(await first).toBe(0);
  await Promise.resolve();
  expect(pending).toHaveLength(1);
  pending.shift()?.();
  expect(await Promise.all(burst)).toEqual([2, 2, 2]);
  const after = reads.read("a");
  expect(pending).toHaveLength(1);
  pending.shift()?.();
  await after;
});

it("goes on after a read that failed", async () => {
  let fails = true;
  const reads = new SharedReads(async () => {
    if (fails) throw new Error("away");
    return 1;
  });
  const first = reads.read("a");
  const second = reads.read("a");
  fails = false;
  await expect(first).rejects.toThrow("away");
  expect(await second).toBe(1);
  expect(await reads.read("a")).toBe(1);
});

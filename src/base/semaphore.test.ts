import { expect, it } from "vitest";
import { Semaphore } from "./semaphore.ts";

it("runs at most its limit at a time, in order, and survives failures", async () => {
  const semaphore = new Semaphore(2);
  const log: string[] = [];
  const releases: (() => void)[] = [];
  const work = (name: string) => async (): Promise<void> => {
    log.push(name);
    await new Promise<void>((resolve) => releases.push(resolve));
    if (name === "a") throw new Error("a failed");
  };
  const all = ["a", "b", "c", "d"].map((name) => semaphore.run(work(name)));
  const failed = all[0]?.catch((error: unknown) => String(error));
  expect(log).toEqual(["a", "b"]);
  expect(semaphore.waiting).toBe(2);
  releases[0]?.();
  expect(await failed).toBe("Error: a failed");
  expect(log).toEqual(["a", "b", "c"]);
  releases[1]?.();
  await all[1];
  releases[2]?.();
  releases[3]?.();
  await Promise.all(all.slice(1));
  expect(log).toEqual(["a", "b", "c", "d"]);
});

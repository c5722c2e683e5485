import { describe, expect, it } from "vitest";
import { ManualClock } from "../../base/clock.ts";
import { SeededRandom } from "../../base/random.ts";
import { WorkQueue } from "./work-queue.ts";

function queue(): { clock: ManualClock; queue: WorkQueue } {
  const clock = new ManualClock();
  return { clock, queue: new WorkQueue({ clock, random: new SeededRandom(1) }) };
}

describe("WorkQueue", () => {
  it("hands a key out once however often it was added", async () => {
    const { queue: q } = queue();
    q.add("a");
    q.add("b");
    q.add("a");
    expect(await q.next()).toBe("a");
    expect(await q.next()).toBe("b");
    expect(q.depth).toBe(0);
  });

  it("never hands out a key that is being worked on, and hands it out again after done", async () => {
    const { queue: q } = queue();
    q.add("a");
    expect(await q.next()).toBe("a");
    q.add("a");
    let second: string | undefined;
    const waiting = q.next().then((key) => {
      second = key;
    });
    await Promise.resolve();
    expect(second).toBeUndefined();
    q.done("a");
    await waiting;
    expect(second).toBe("a");
  });

  it("hands keys out in the order in which they became ready, also those that came after it was empty", async () => {
    const { queue: q } = queue();
    const random = new SeededRandom(7);
    const wanted: string[] = [];
    const found: (string | undefined)[] = [];
    const take = async (): Promise<void> => {
      const key = await q.next();
      found.push(key);
      if (key !== undefined) q.done(key);
    };
    for (let i = 0; i < 2_000; i++) {
      const key = String(i % 2 === 0 ? i : i % 97);
      if (!wanted.slice(found.length).includes(key)) wanted.push(key);
      q.add(key);
      while (q.depth > 0 && random.next() < 0.6) await take();
    }
    while (q.depth > 0) await take();
    expect(found).toEqual(wanted);
  });

  it("keeps the earliest of several delays and wakes in order", async () => {
    const { clock, queue: q } = queue();
    q.addAfter("a", 1000);
    q.addAfter("a", 5000);
    q.addAfter("b", 200);
    q.addAfter("b", 100);
    await clock.advance(100);
    expect(await q.next()).toBe("b");
    expect(q.depth).toBe(0);
    await clock.advance(900);
    expect(await q.next()).toBe("a");
    q.done("a");
    await clock.advance(10_000);
    expect(q.depth).toBe(0);
    expect(clock.sleeping).toBe(0);
  });

  it("backs off per key and forgets on success", async () => {
    const { clock, queue: q } = queue();
    for (let i = 0; i < 6; i++) {
      q.addRateLimited("bad");
      await clock.advance(300_000);
      expect(await q.next()).toBe("bad");
      q.done("bad");
    }
    expect(q.failures("bad")).toBe(6);
    expect(q.failures("good")).toBe(0);
    q.forget("bad");
    expect(q.failures("bad")).toBe(0);
  });

  it("spreads the retries of all keys when too many fail at once", async () => {
    const clock = new ManualClock();
    const q = new WorkQueue({
      clock,
      random: new SeededRandom(1),
      retry: { baseMs: 1, factor: 1, capMs: 1 },
      overall: { perSecond: 10, burst: 5 },
    });
    for (let i = 0; i < 25; i++) q.addRateLimited(`key-${i}`);
    await clock.advance(1);
    expect(q.depth).toBe(5);
    await clock.advance(1_000);
    expect(q.depth).toBe(15);
    await clock.advance(1_000);
    expect(q.depth).toBe(25);
  });

  it("wakes waiters with undefined when closed and sleeps no more", async () => {
    const { clock, queue: q } = queue();
    q.addAfter("a", 1000);
    const waiting = q.next();
    q.close();
    expect(await waiting).toBeUndefined();
    expect(await q.next()).toBeUndefined();
    q.add("b");
    expect(q.depth).toBe(0);
    expect(clock.sleeping).toBe(0);
  });
});

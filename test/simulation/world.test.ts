import { describe, expect, it } from "vitest";
import { EVENTS_PER_SECOND, World } from "./world.ts";

const LIVELOCK = `livelock: ${EVENTS_PER_SECOND} events within the second 3`;

describe("a world in which time stands still", () => {
  it("ends with its transcript when events follow each other at once", () => {
    const world = new World(1, true);
    const again = (): void => {
      world.trace("someone", () => "goes round");
      world.after(0, again);
    };
    world.after(3_500, again);
    expect(() => world.run(10_000)).toThrow(LIVELOCK);
    expect(world.transcript.split("\n").at(-1)).toBe("    3.500 someone  goes round");
  });

  it("ends when the events of many short runs do, and no earlier than they do", () => {
    const world = new World(1, false);
    for (let at = 0; at < EVENTS_PER_SECOND; at++) world.after(3_999, () => {});
    for (let at = 0; at < EVENTS_PER_SECOND; at++) world.after(4_000, () => {});
    expect(world.run(10_000)).toBe(2 * EVENTS_PER_SECOND);
  });

  it("ends when an asynchronous room never comes to rest", async () => {
    const world = new World(1, false);
    world.after(3_000, () => {
      const again = async (): Promise<void> => {
        world.stir();
        await Promise.resolve();
        world.after(0, () => void again());
      };
      again().catch(world.fail);
    });
    await expect(world.settle(10_000)).rejects.toThrow(LIVELOCK);
  });
});

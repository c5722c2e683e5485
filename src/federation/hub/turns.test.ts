import { describe, expect, it } from "vitest";
import { Turns } from "./turns.ts";

describe("Turns", () => {
  it("come in the order of asking, at most so many at a time; who left the queue gets none", () => {
    const turns = new Turns<string>(2);
    const had: string[] = [];
    for (const party of ["a", "b", "c", "d", "e"]) turns.acquire(party, () => had.push(party));
    turns.acquire("c", () => had.push("c again"));
    expect([had, turns.having, turns.waiting]).toEqual([["a", "b"], 2, 3]);
    turns.release("c");
    turns.release("a");
    expect(had).toEqual(["a", "b", "d"]);
    turns.release("nobody");
    turns.release("b");
    turns.release("d");
    expect([had, turns.having, turns.waiting]).toEqual([["a", "b", "d", "e"], 1, 0]);
  });

  it("may be over before the call that granted them ends", () => {
    const turns = new Turns<number>(1);
    const had: number[] = [];
    for (const party of [1, 2, 3])
      turns.acquire(party, () => {
        had.push(party);
        turns.release(party);
      });
    expect([had, turns.having]).toEqual([[1, 2, 3], 0]);
  });
});

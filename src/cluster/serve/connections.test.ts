import { describe, expect, it } from "vitest";
import { Connections, KEEP_ALIVE_MS } from "./connections.ts";

describe("Connections", () => {
  const closed: string[] = [];
  const add = (connections: Connections, id: string, nowMs: number): boolean =>
    connections.add(id, () => closed.push(id), nowMs);

  it("closes whoever has been idle longest when there is no room, and nobody who has a request", () => {
    closed.length = 0;
    const connections = new Connections(3);
    for (const [index, id] of ["a", "b", "c"].entries()) expect(add(connections, id, index)).toBe(true);
    connections.begin("a");
    expect(add(connections, "d", 3)).toBe(true);
    expect(closed).toEqual(["b"]);
    connections.begin("c");
    connections.begin("d");
    expect(add(connections, "e", 4)).toBe(false);
    expect(closed).toEqual(["b"]);
    expect(connections.size).toBe(3);
  });

  it("counts several requests of one connection", () => {
    closed.length = 0;
    const connections = new Connections(1);
    add(connections, "a", 0);
    connections.begin("a");
    connections.begin("a");
    connections.end("a", 1);
    expect(add(connections, "b", 2)).toBe(false);
    connections.end("a", 3);
    expect(add(connections, "b", 4)).toBe(true);
    expect(closed).toEqual(["a"]);
  });

  it("closes what is idle for too long, counted from its last request", () => {
    closed.length = 0;
    const connections = new Connections();
    add(connections, "a", 0);
    add(connections, "b", 0);
    connections.begin("a");
    connections.end("a", 1000);
    connections.sweep(KEEP_ALIVE_MS);
    expect(closed).toEqual(["b"]);
    connections.sweep(KEEP_ALIVE_MS + 1000);
    expect(closed).toEqual(["b", "a"]);
    expect(connections.size).toBe(0);
  });
});

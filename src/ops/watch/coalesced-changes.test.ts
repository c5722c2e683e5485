import { describe, expect, it, vi } from "vitest";
import { ManualClock } from "../../base/clock.ts";
import { COALESCE_MS, coalescedChanges } from "./coalesced-changes.ts";

class Subject {
  readonly listeners = new Set<(key: string) => void>();
  subscribe = (listener: (key: string) => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };
  say(...keys: readonly string[]): void {
    for (const key of keys) for (const listener of this.listeners) listener(key);
  }
}

describe("coalesced changes", () => {
  it("gives everything first, then one set per burst with each key once", async () => {
    const [clock, subject, stop] = [new ManualClock(), new Subject(), new AbortController()];
    const changes = coalescedChanges(subject.subscribe, clock, stop.signal);
    expect((await changes.next()).value).toEqual(new Set());
    const burst = changes.next();
    subject.say("a", "b", "a");
    await vi.waitFor(() => expect(clock.sleeping).toBe(1));
    subject.say("c");
    await clock.advance(COALESCE_MS);
    expect((await burst).value).toEqual(new Set(["a", "b", "c"]));
    stop.abort();
    expect((await changes.next()).done).toBe(true);
    expect(subject.listeners.size).toBe(0);
  });

  it("loses nothing between two sets and gathers for a reader that is slow", async () => {
    const [clock, subject, stop] = [new ManualClock(), new Subject(), new AbortController()];
    const changes = coalescedChanges(subject.subscribe, clock, stop.signal);
    await changes.next();
    for (let i = 0; i < 1000; i++) subject.say(`k${i % 10}`);
    const next = changes.next();
    await vi.waitFor(() => expect(clock.sleeping).toBe(1));
    await clock.advance(COALESCE_MS);
    expect((await next).value).toHaveProperty("size", 10);
    stop.abort();
    await changes.next();
  });

  it("ends and unsubscribes when the reader leaves or the signal aborts while it gathers", async () => {
    const [clock, subject, stop] = [new ManualClock(), new Subject(), new AbortController()];
    const changes = coalescedChanges(subject.subscribe, clock, stop.signal);
    await changes.next();
    const gathering = changes.next();
    subject.say("a");
    await vi.waitFor(() => expect(clock.sleeping).toBe(1));
    stop.abort();
    expect((await gathering).done).toBe(true);
    expect(subject.listeners.size).toBe(0);
    const other = coalescedChanges(subject.subscribe, clock, new AbortController().signal);
    await other.next();
    await other.return(undefined);
    expect(subject.listeners.size).toBe(0);
  });
});

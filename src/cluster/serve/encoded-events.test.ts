import { describe, expect, it } from "vitest";
import { EncodedEvents } from "./encoded-events.ts";

describe("EncodedEvents", () => {
  it("encodes an event once and hands the same bytes to everybody", () => {
    const events = new EncodedEvents();
    const first = events.line("a", () => "line a\n");
    expect(events.line("a", () => "another")).toBe(first);
    expect(events.encoded).toBe(1);
  });

  it("forgets what nobody asked for during one generation, and keeps what is asked for", () => {
    const events = new EncodedEvents();
    const big = "x".repeat(1024 * 1024);
    events.line("once", () => big);
    for (let index = 0; index < 10; index++) {
      events.line("wanted", () => big);
      events.line(`other ${index}`, () => big);
    }
    const { encoded } = events;
    events.line("wanted", () => big);
    expect(events.encoded).toBe(encoded);
    events.line("once", () => big);
    expect(events.encoded).toBe(encoded + 1);
  });
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MembershipState } from "./membership-state.ts";

const SERVE_MS = 100;

function joined(startedMs = 0): MembershipState {
  const state = new MembershipState("hub-1", "p1", SERVE_MS);
  expect(state.renewed(state.identity, startedMs, startedMs + 10)).toBe("joined");
  return state;
}

describe("MembershipState", () => {
  it("lasts from the start of its last renewal on, whenever the answer came", () => {
    const state = joined();
    expect([state.member, state.endsMs]).toEqual([true, SERVE_MS]);
    expect(state.renewed(state.identity, 50, 90)).toBe("none");
    expect(state.endsMs).toBe(50 + SERVE_MS);
  });

  it("is over in the moment in which it ends, and says so once", () => {
    const state = joined();
    expect(state.look(SERVE_MS - 1)).toBe("none");
    expect(state.look(SERVE_MS)).toBe("ended");
    expect([state.member, state.look(SERVE_MS), state.end()]).toEqual([false, "none", "none"]);
  });

  it("is not set back by the answer of a renewal that began earlier", () => {
    const state = joined(40);
    expect(state.renewed(state.identity, 20, 60)).toBe("none");
    expect(state.endsMs).toBe(40 + SERVE_MS);
  });

  it("is not given by an answer that took as long as it lasts", () => {
    const state = new MembershipState("hub-1", "p1", SERVE_MS);
    expect(state.renewed(state.identity, 0, SERVE_MS)).toBe("none");
    expect(state.member).toBe(false);
    expect(state.renewed(state.identity, 0, SERVE_MS - 1)).toBe("joined");
  });

  it("ends with the answer that finds it over", () => {
    const state = joined();
    expect(state.renewed(state.identity, 0, SERVE_MS)).toBe("ended");
    expect(state.member).toBe(false);
  });

  it("gets nothing from a renewal of the one before, and has another name", () => {
    const state = joined();
    const former = state.identity;
    expect(state.end()).toBe("ended");
    expect(state.identity).not.toBe(former);
    expect([state.renewed(former, 90, 95), state.member]).toEqual(["none", false]);
  });

  it("keeps all of that in any order of renewals, late answers and looks", () => {
    const event = fc.record({
      kind: fc.constantFrom("ask", "answer", "look", "end"),
      waitMs: fc.nat(60),
      which: fc.nat(5),
    });
    fc.assert(
      fc.property(fc.array(event, { maxLength: 60 }), (events) => {
        const state = new MembershipState("hub-1", "p1", SERVE_MS);
        const asked: { readonly identity: string; readonly startedMs: number }[] = [];
        const ended = new Set<string>();
        let [nowMs, servesUntilMs] = [0, -Infinity];
        for (const { kind, waitMs, which } of events) {
          nowMs += waitMs;
          const { identity, member } = state;
          expect(ended.has(identity)).toBe(false);
          let change = "none";
          if (kind === "ask") asked.push({ identity, startedMs: nowMs });
          else if (kind === "end") change = state.end();
          else if (kind === "look") change = state.look(nowMs);
          const answer = kind === "answer" ? asked[which % Math.max(1, asked.length)] : undefined;
          if (answer !== undefined) {
            change = state.renewed(answer.identity, answer.startedMs, nowMs);
            if (answer.identity === identity && (member || nowMs - answer.startedMs < SERVE_MS))
              servesUntilMs = Math.max(member ? servesUntilMs : -Infinity, answer.startedMs + SERVE_MS);
          }
          if (change === "ended") ended.add(identity);
          expect(change === "joined").toBe(!member && state.member);
          expect(change === "ended").toBe(member && !state.member);
          // Whoever has just looked serves only within what some renewal gave.
          const serves = kind === "look" && state.member;
          expect(serves && nowMs >= servesUntilMs).toBe(false);
        }
      }),
    );
  });
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { currentAttemptId, DRIFT_RULES, type DriftEvent, type DriftState, nextDriftState } from "./next-drift-state.ts";

/** Plays a story; `queue` stands for the corrector, `+60s` for time, `degraded`/`connected` for the channel. */
function play(steps: readonly string[]): readonly string[] {
  let state: DriftState | undefined;
  let nowMs = 0;
  let ids = 0;
  let degraded = false;
  const lines: string[] = [];
  for (const step of steps) {
    const time = /^\+(\d+)(s|min|h)$/.exec(step);
    if (time) {
      nowMs += Number(time[1]) * { s: 1000, min: 60_000, h: 3_600_000 }[time[2] as "s" | "min" | "h"];
      continue;
    }
    if (step === "degraded" || step === "connected") {
      degraded = step === "degraded";
      continue;
    }
    if (step === "queue" || step === "queue delivery") {
      if (state?.state === "delivered" && state.book.terminal !== true)
        state = { ...queued(state, nowMs), ...(step === "queue" ? {} : { byDelivery: true }) };
    } else {
      const moment = { nowMs, newCorrelationId: `c${ids + 1}`, degraded, redeploy: "" };
      const next = nextDriftState(state, eventOf(step, state, nowMs), moment);
      if (next !== undefined && next.correlationId !== state?.correlationId) ids++;
      state = next;
    }
    lines.push(`${step}: ${say(state)}`);
  }
  return lines;
}

function queued(state: DriftState, nowMs: number): DriftState {
  return { ...state, state: "queued", lastAttemptAtMs: nowMs };
}

function eventOf(step: string, state: DriftState | undefined, nowMs: number): DriftEvent {
  const id = state === undefined ? "" : currentAttemptId(state);
  const [name, attempt] = step.split(" ");
  const correction =
    attempt === "applied"
      ? { correction: { id, applied: true } }
      : attempt === "failed"
        ? { correction: { id, applied: false } }
        : attempt === "stale"
          ? { correction: { id: "c0/9", applied: false } }
          : {};
  if (name === "ack") return { type: "Acknowledged" };
  if (name === "redeploy") return { type: "Redeploy" };
  return name === "healthy"
    ? { type: "Healthy", ...correction }
    : { type: "Drifted", observedAtMs: nowMs, ...correction };
}

function say(state: DriftState | undefined): string {
  if (state === undefined) return "none";
  return `${state.state} ${state.correlationId} counter ${state.escalationCounter}${state.book.terminal === true ? " TERMINAL" : ""}`;
}

describe("nextDriftState", () => {
  it("goes pending, delivered, queued, confirmed", () => {
    expect(
      play([
        "drifted",
        "drifted",
        "ack",
        "drifted",
        "queue",
        "drifted",
        "drifted applied",
        "healthy applied",
        "healthy",
      ]),
    ).toEqual([
      "drifted: pending c1 counter 0",
      "drifted: pending c1 counter 0",
      "ack: delivered c1 counter 0",
      "drifted: delivered c1 counter 0",
      "queue: queued c1 counter 0",
      "drifted: queued c1 counter 0",
      "drifted applied: queued c1 counter 0",
      "healthy applied: confirmed c1 counter 0",
      "healthy: confirmed c1 counter 0",
    ]);
  });

  it("counts failed corrections only, and ends in TerminalDrift at three", () => {
    const attempt = ["queue", "drifted", "drifted failed", "drifted"];
    expect(
      play(["drifted", "ack", ...attempt, ...attempt, ...attempt, "queue", "drifted"]).filter(
        (line) => !line.startsWith("drifted:"),
      ),
    ).toEqual([
      "ack: delivered c1 counter 0",
      "queue: queued c1 counter 0",
      "drifted failed: delivered c1 counter 1",
      "queue: queued c1 counter 1",
      "drifted failed: delivered c1 counter 2",
      "queue: queued c1 counter 2",
      "drifted failed: delivered c1 counter 3 TERMINAL",
      "queue: delivered c1 counter 3 TERMINAL",
    ]);
  });

  it("waits the settle time before a successful attempt counts as failed", () => {
    expect(
      play(["drifted", "ack", "queue", "drifted applied", "+119s", "drifted applied", "+1s", "drifted applied"]).slice(
        3,
      ),
    ).toEqual([
      "drifted applied: queued c1 counter 0",
      "drifted applied: queued c1 counter 0",
      "drifted applied: delivered c1 counter 1",
    ]);
  });

  it("continues the counter when drift flaps within 30 minutes, and starts at 0 later", () => {
    const failedOnce = ["drifted", "ack", "queue", "drifted failed", "healthy"];
    expect(play([...failedOnce, "+29min", "drifted"]).at(-1)).toBe("drifted: pending c2 counter 1");
    expect(play([...failedOnce, "+31min", "drifted"]).at(-1)).toBe("drifted: pending c2 counter 0");
  });

  it("is not confirmed while an attempt is under way, nor moved by an attempt of another event", () => {
    expect(
      play(["drifted", "ack", "queue", "healthy", "healthy stale", "drifted stale", "healthy applied"]).slice(3),
    ).toEqual([
      "healthy: queued c1 counter 0",
      "healthy stale: queued c1 counter 0",
      "drifted stale: queued c1 counter 0",
      "healthy applied: confirmed c1 counter 0",
    ]);
  });

  it("is confirmed by a healthy pack when a delivery that ran anyway was recorded", () => {
    expect(play(["drifted", "ack", "queue delivery", "drifted", "healthy"]).slice(3)).toEqual([
      "drifted: queued c1 counter 0",
      "healthy: confirmed c1 counter 0",
    ]);
  });

  it("moves no counter while the channel is degraded", () => {
    expect(
      play(["drifted", "ack", "queue", "degraded", "drifted failed", "connected", "drifted failed"]).slice(3),
    ).toEqual(["drifted failed: queued c1 counter 0", "drifted failed: delivered c1 counter 1"]);
  });

  it("ends an attempt that never reports", () => {
    expect(play(["drifted", "ack", "queue", "+4h", "drifted", "+1h", "drifted"]).slice(3)).toEqual([
      "drifted: queued c1 counter 0",
      "drifted: delivered c1 counter 1",
    ]);
  });

  it("starts afresh when a person asks", () => {
    const attempt = ["queue", "drifted failed"];
    expect(play(["drifted", "ack", ...attempt, ...attempt, ...attempt, "redeploy", "drifted"]).slice(-2)).toEqual([
      "redeploy: confirmed c1 counter 3",
      "drifted: pending c2 counter 0",
    ]);
    expect(play(["drifted", "ack", "redeploy"]).at(-1)).toBe("redeploy: delivered c1 counter 0");
  });

  it("only takes the transitions of the table, whatever happens", () => {
    const steps = fc.array(
      fc.constantFrom(
        "drifted",
        "drifted applied",
        "drifted failed",
        "healthy",
        "healthy applied",
        "ack",
        "queue",
        "redeploy",
        "+60s",
        "+40min",
        "degraded",
        "connected",
      ),
      { maxLength: 40 },
    );
    const allowed = new Set([
      "none>pending",
      "pending>delivered",
      "delivered>queued",
      "queued>delivered",
      "confirmed>pending",
    ]);
    fc.assert(
      fc.property(steps, (story) => {
        const wrong: string[] = [];
        let before = { state: "none", id: "", counter: 0 };
        for (const line of play(story)) {
          const [, state = "none", id = "", counter = "0"] = /: (\S+)(?: (\S+) counter (\d+))?/.exec(line) ?? [];
          const now = { state, id, counter: Number(counter) };
          const move = `${before.state}>${now.state}`;
          const illegal =
            (now.state !== before.state && now.state !== "confirmed" && !allowed.has(move)) ||
            (now.id !== before.id && before.state !== "none" && move !== "confirmed>pending") ||
            (now.counter > before.counter && move !== "queued>delivered") ||
            now.counter > DRIFT_RULES.threshold;
          if (illegal) wrong.push(`${move} at ${line}`);
          before = now;
        }
        expect(wrong).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });
});

import { describe, expect, it, vi } from "vitest";
import { ManualClock } from "./clock.ts";
import { SeededRandom } from "./random.ts";
import { supervise } from "./supervise.ts";

interface Failure {
  readonly name: string;
  readonly message: string;
  readonly consecutive: number;
  readonly delayMs: number;
}

function parts(clock: ManualClock): { failures: Failure[]; parts: Parameters<typeof supervise>[3] } {
  const failures: Failure[] = [];
  return {
    failures,
    parts: {
      clock,
      random: new SeededRandom(1),
      events: {
        onFailure: (name, error, consecutive, delayMs) => {
          failures.push({ name, message: String(error), consecutive, delayMs });
        },
      },
    },
  };
}

describe("supervise (R-1.11)", () => {
  it("restarts a loop that throws, each time after a longer wait, and says so", async () => {
    const clock = new ManualClock();
    const stop = new AbortController();
    const { failures, parts: given } = parts(clock);
    let runs = 0;
    const body = async (): Promise<void> => {
      runs += 1;
      throw new Error(`run ${runs}`);
    };
    const done = supervise("loop", body, stop.signal, given);
    for (let i = 1; i <= 4; i++) {
      await vi.waitFor(() => expect(clock.sleeping).toBe(1));
      expect(failures).toHaveLength(i);
      await clock.advance(failures.at(-1)?.delayMs ?? 0);
    }
    expect(failures.slice(0, 4).map(({ consecutive, message }) => [consecutive, message])).toEqual([
      [1, "Error: run 1"],
      [2, "Error: run 2"],
      [3, "Error: run 3"],
      [4, "Error: run 4"],
    ]);
    failures.forEach(({ delayMs }, i) => expect(delayMs).toBeLessThanOrEqual(500 * 2 ** i));
    stop.abort();
    await done;
  });

  it("counts an early return as a failure, and starts the count again after a healthy minute", async () => {
    const clock = new ManualClock();
    const stop = new AbortController();
    const { failures, parts: given } = parts(clock);
    let healthyMs = 0;
    const done = supervise("loop", (signal) => clock.sleep(healthyMs, signal), stop.signal, given);
    await clock.advance(0);
    await vi.waitFor(() => expect(failures).toHaveLength(1));
    expect(failures[0]?.message).toContain("loop returned before it was stopped");
    healthyMs = 60_000;
    await vi.waitFor(() => expect(clock.sleeping).toBe(1));
    await clock.advance(1000);
    await clock.advance(60_000);
    await vi.waitFor(() => expect(failures).toHaveLength(2));
    expect(failures[1]?.consecutive).toBe(1);
    stop.abort();
    await done;
  });

  it("resolves after the run has ended, not before, and never rejects", async () => {
    const clock = new ManualClock();
    const stop = new AbortController();
    const { failures, parts: given } = parts(clock);
    let released = false;
    const body = async (signal: AbortSignal): Promise<void> => {
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      await Promise.resolve();
      released = true;
      throw new Error("a failure while stopping is not a failure");
    };
    const done = supervise("loop", body, stop.signal, given);
    stop.abort();
    await done;
    expect(released).toBe(true);
    expect(failures).toEqual([]);
  });

  it("stops at once while it waits to restart", async () => {
    const clock = new ManualClock();
    const stop = new AbortController();
    const { parts: given } = parts(clock);
    const done = supervise("loop", () => Promise.reject(new Error("no")), stop.signal, given);
    await vi.waitFor(() => expect(clock.sleeping).toBe(1));
    stop.abort();
    await done;
    expect(clock.sleeping).toBe(0);
  });
});

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { systemClock } from "../../base/clock.ts";
import { systemRandom } from "../../base/random.ts";
import { Child, type ChildEvent } from "./child.ts";

const folder = mkdtempSync(join(tmpdir(), "seam-child-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs a program under supervision until it has ended once; resolves with how. */
async function endOf(name: string, script: string): Promise<string> {
  const stop = new AbortController();
  mkdirSync(join(folder, name));
  const file = (suffix: string): string => join(folder, name, suffix);
  writeFileSync(file("log"), "an old failure\n");
  const events: ChildEvent[] = [];
  const child = new Child(
    {
      name,
      command: process.execPath,
      args: ["-e", script],
      env: {},
      logFile: file("log"),
      pidFile: file("pid"),
      holdFile: file("hold"),
    },
    {
      clock: systemClock,
      random: systemRandom,
      onEvent: (event) => {
        events.push(event);
        if (event.type === "exited") stop.abort();
      },
    },
  );
  await child.run(stop.signal);
  return events.flatMap((event) => (event.type === "exited" ? [event.how] : [])).join();
}

describe("a supervised process that ends", () => {
  it("is shown with what it said last", async () => {
    const said = await endOf(
      "says",
      `console.log("starting"); console.error("conductor: port 1: must be free"); process.exitCode = 1`,
    );
    expect(said).toBe("exit code 1: conductor: port 1: must be free");
    const logged = await endOf(
      "logs",
      `console.log(JSON.stringify({ level: 60, msg: "no space", error: "SQLITE_FULL" })); process.exitCode = 1`,
    );
    expect(logged).toBe("exit code 1: no space: SQLITE_FULL");
  });

  it("is not shown with what an earlier run said", async () => {
    expect(await endOf("silent", "process.exitCode = 3")).toBe("exit code 3");
    expect(await endOf("killed", `process.kill(process.pid, "SIGKILL"); setInterval(() => {}, 1000)`)).toBe("SIGKILL");
  });
});

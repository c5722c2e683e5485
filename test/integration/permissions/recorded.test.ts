import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { indexOf } from "../../../src/permissions/index/permission-index.ts";
import { scanDecision } from "../../oracle/permission-scan.ts";
import { WORLD_NOW_MS } from "../../oracle/permission-worlds.ts";
import { type Recording, replayed } from "../../oracle/recorded.ts";

describe("answers a real API server gave once (permissions §16, oracle b)", () => {
  const file = new URL("../../oracle/recorded-answers.json.gz", import.meta.url);
  const recording = JSON.parse(gunzipSync(readFileSync(file)).toString("utf8")) as Recording;

  it("are those of the index and of the scan, at least five thousand of them", () => {
    let asked = 0;
    let allowed = 0;
    for (const { content, answers } of recording.worlds) {
      const index = indexOf(content);
      for (const answer of answers) {
        const { user, groups, request, allowed: said } = replayed(answer, recording.texts);
        const decided = {
          index: index.decide(user, groups, request, WORLD_NOW_MS) === "allowed",
          scan: scanDecision(content, user, groups, request, WORLD_NOW_MS) === "allowed",
        };
        asked += 1;
        if (said) allowed += 1;
        expect({ user, groups, request, ...decided }).toEqual({ user, groups, request, index: said, scan: said });
      }
    }
    expect(asked).toBeGreaterThanOrEqual(5_000);
    expect(allowed).toBeGreaterThan(300);
  });
});

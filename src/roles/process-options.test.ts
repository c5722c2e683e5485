import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { PROCESS_OPTIONS } from "./process-options.ts";

describe("PROCESS_OPTIONS", () => {
  it("are the options that run.sh gives each role", () => {
    const script = readFileSync(new URL("../bin/run.sh", import.meta.url), "utf8");
    const given = Object.fromEntries(
      [...script.matchAll(/^\s+(\w+)\) options="([^"]*)" ;;$/gm)].map(([, role, options]) => [
        role,
        options?.split(" "),
      ]),
    );
    expect(given).toEqual(PROCESS_OPTIONS);
  });

  it("are known to this Node", () => {
    for (const options of Object.values(PROCESS_OPTIONS)) {
      const { status, stderr } = spawnSync(process.execPath, [...options, "-e", ""], { encoding: "utf8" });
      expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    }
  });
});

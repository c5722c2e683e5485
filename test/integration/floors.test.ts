import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { type JsonObject, isJsonObject } from "../../src/base/json.ts";

/** Fewer modules than this means that the tool did not understand the sources, and checked nothing. */
const LEAST_MODULES = 300;
/** Most output of the tool, bytes: it names every module with its imports. */
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;
const ROOT = fileURLToPath(new URL("../..", import.meta.url));

function object(value: unknown): JsonObject {
  return isJsonObject(value) ? value : {};
}

it("imports point down only, in every module there is", { timeout: 120_000 }, async () => {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [
      "node_modules/dependency-cruiser/bin/dependency-cruiser.mjs",
      "--config",
      ".dependency-cruiser.cjs",
      "--output-type",
      "json",
      "src",
    ],
    { cwd: ROOT, maxBuffer: MAX_OUTPUT_BYTES },
  ).catch((error: unknown) => {
    // The tool exits with the number of violations; what it found is in its output all the same.
    const stdout = error instanceof Error && "stdout" in error ? String(error.stdout) : "";
    if (stdout === "") throw error;
    return { stdout };
  });
  const result = object(JSON.parse(stdout));
  const summary = object(result["summary"]);
  const violations = Array.isArray(summary["violations"])
    ? summary["violations"].map(object)
    : ["no list of violations"];
  expect(violations).toEqual([]);
  expect(summary["totalCruised"]).toBeGreaterThan(LEAST_MODULES);
});

import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { type JsonObject, isJsonObject } from "../../src/base/json.ts";

/** Paths at which npm would look for `name` when `from` asks for it, nearest first. */
function candidates(from: string, name: string): readonly string[] {
  const paths: string[] = [];
  for (let base = from; ; base = base.slice(0, Math.max(0, base.lastIndexOf("node_modules/") - 1))) {
    paths.push(`${base === "" ? "" : `${base}/`}node_modules/${name}`);
    if (base === "") return paths;
  }
}

function object(value: unknown): JsonObject {
  return isJsonObject(value) ? value : {};
}

it("names every optional dependency of every platform, else `npm ci` refuses a clean clone", () => {
  // `npm install` leaves those out that the registry at hand does not have, and every later `npm ci` then fails.
  const packages = object(
    object(JSON.parse(readFileSync(new URL("../../package-lock.json", import.meta.url), "utf8")))["packages"],
  );
  const missing = Object.entries(packages).flatMap(([path, entry]) =>
    Object.keys(object(object(entry)["optionalDependencies"]))
      .filter((name) => !candidates(path, name).some((candidate) => candidate in packages))
      .map((name) => `${name}, wanted by ${path === "" ? "the project" : path}`),
  );
  expect(missing).toEqual([]);
});

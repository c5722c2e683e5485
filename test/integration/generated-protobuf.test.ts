import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

function files(directory: string): ReadonlyMap<string, string> {
  const names = readdirSync(directory, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".ts"));
  return new Map(names.toSorted().map((name) => [name, readFileSync(join(directory, name), "utf8")]));
}

it("commits what buf generates from proto/", () => {
  const fresh = mkdtempSync(join(tmpdir(), "seam-gen-"));
  execFileSync(join(ROOT, "node_modules/.bin/buf"), ["generate", "--output", fresh], { cwd: ROOT });
  const generated = files(join(fresh, "src/api/gen"));
  rmSync(fresh, { recursive: true, force: true });
  expect(generated.size).toBeGreaterThan(5);
  expect(files(join(ROOT, "src/api/gen"))).toEqual(generated);
});

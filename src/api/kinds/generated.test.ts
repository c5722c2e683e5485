import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { generateKinds } from "../../../crds/generate.ts";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));

describe("generated kinds", () => {
  it("are what crds/ generates", () => {
    const folder = mkdtempSync(join(tmpdir(), "seam-kinds-"));
    try {
      const files = generateKinds(join(ROOT, "crds"));
      for (const [name, text] of files) writeFileSync(join(folder, name), text);
      execFileSync(join(ROOT, "node_modules/.bin/oxfmt"), ["-c", join(ROOT, ".oxfmtrc.json"), "--write", "."], {
        cwd: folder,
      });
      for (const name of files.keys())
        expect(readFileSync(join(ROOT, "src/api/kinds", name), "utf8"), `${name}: run npm run generate`).toBe(
          readFileSync(join(folder, name), "utf8"),
        );
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

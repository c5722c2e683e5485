import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { freeOffset, seamctl } from "./run-seamctl.ts";

it("walks the whole tour", async () => {
  const parent = mkdtempSync(join(tmpdir(), "seam-tour-"));
  const result = await seamctl("tour", "--dir", join(parent, "mesh"), "--port-offset", String(await freeOffset()));
  rmSync(parent, { recursive: true, force: true });
  expect(result).toMatchObject({ code: 0, stdout: expect.stringContaining("tour complete") });
});

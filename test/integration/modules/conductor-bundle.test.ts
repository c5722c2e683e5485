import type { ChildProcess } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { rolldown } from "rolldown";
import { afterAll, beforeAll, expect, it } from "vitest";
import { conductorBundle } from "../../../rolldown.config.ts";
import { START_MS, firstAnswers } from "../../support/first-answers.ts";
import { oneGrant } from "../../support/snapshot-bench.ts";
import { tenantOnDisk } from "../../support/tenant-on-disk.ts";

const ROOT = join(import.meta.dirname, "../../..");
/** Files that a tenant reads before its first answer; Node's own are not among them. Raise it knowingly. */
const MOST_FILES = 32;

let directory: string;
let child: ChildProcess | undefined;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "conductor-bundle-"));
});

afterAll(async () => {
  child?.kill("SIGKILL");
  await rm(directory, { recursive: true, force: true });
});

it(
  "a bundled tenant answers rightly from a few files, and the whole of it comes up",
  { timeout: 3 * START_MS },
  async () => {
    const places = { output: join(directory, "bin"), root: ROOT, extension: ".ts" } as const;
    const { output, ...input } = conductorBundle(places);
    const bundle = await rolldown(input);
    await bundle.write(output);
    await bundle.close();

    const tenant = await tenantOnDisk(directory, oneGrant("get"));
    const program = join(places.output, "conductor.js");
    // What a module finds by its own place is found: the CRDs, the version.
    const { loaded, stop } = await firstAnswers(
      program,
      tenant,
      join(directory, "loaded"),
      (started) => (child = started),
    );
    const rest = loaded.findIndex((url) => url.includes("/conductor-tenant-agent-"));
    expect(rest).toBeGreaterThan(0);
    expect(rest).toBeLessThanOrEqual(MOST_FILES);
    await stop();
  },
);

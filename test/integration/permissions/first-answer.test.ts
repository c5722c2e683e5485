import type { ChildProcess } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { START_MS, firstAnswers } from "../../support/first-answers.ts";
import { oneGrant } from "../../support/snapshot-bench.ts";
import { type TenantOnDisk, tenantOnDisk } from "../../support/tenant-on-disk.ts";

const ROOT = join(import.meta.dirname, "../../..");
const PROGRAM = join(ROOT, "src/bin/conductor.ts");
/** First module of everything that has nothing to do with answers. */
const REST = "src/roles/tenant-agent.ts";

/** Rooms whose code an answer needs. */
const ROOMS = new Set(["api", "base", "bin", "permissions", "roles", "trust"]);
/** Packages an answer needs: protobuf, gRPC with what it requires, and the log. */
const PACKAGES = new Set([
  "@bufbuild/protobuf",
  "@grpc/grpc-js",
  "@js-sdsl/ordered-map",
  "@pinojs/redact",
  "atomic-sleep",
  "on-exit-leak-free",
  "pino",
  "pino-std-serializers",
  "quick-format-unescaped",
  "safe-stable-stringify",
  "sonic-boom",
  "thread-stream",
]);
/** Files of ours, and all of them: each costs a fraction of a millisecond of every start. Raise it knowingly. */
const MOST_OWN_FILES = 125;
const MOST_FILES = 286;

let directory: string;
let tenant: TenantOnDisk;
let child: ChildProcess | undefined;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "first-answer-"));
  tenant = await tenantOnDisk(directory, oneGrant("get"));
});

afterAll(async () => {
  child?.kill("SIGKILL");
  await rm(directory, { recursive: true, force: true });
});

it(
  "a tenant answers rightly before it loads anything that answers do not need, and keeps what it compiled",
  { timeout: 2 * START_MS },
  async () => {
    const { loaded, stop } = await firstAnswers(
      PROGRAM,
      tenant,
      join(directory, "loaded"),
      (started) => (child = started),
    );
    const rest = loaded.findIndex((url) => url.endsWith(REST));
    expect(rest).toBeGreaterThan(0);
    const first = loaded.slice(0, rest);
    const packages = first.flatMap((url) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1] ?? []);
    expect([...new Set(packages)].filter((name) => !PACKAGES.has(name))).toEqual([]);
    const own = first.flatMap((url) => /\/src\/([^/]+)\//.exec(url.slice(`file://${ROOT}`.length))?.[1] ?? []);
    expect([...new Set(own)].filter((room) => !ROOMS.has(room))).toEqual([]);
    expect(own.length).toBeLessThanOrEqual(MOST_OWN_FILES);
    expect(first.length).toBeLessThanOrEqual(MOST_FILES);

    await stop();
    expect(await readdir(join(directory, "compile-cache"))).not.toEqual([]);
  },
);

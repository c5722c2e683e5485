import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { PermissionService } from "../../../src/api/gen/ontai/security/v1alpha1/permission_pb.ts";
import { createGrpcClient } from "../../../src/api/grpc/client.ts";
import { clientCredentials } from "../../../src/trust/tls/client-credentials.ts";
import { oneGrant } from "../../support/snapshot-bench.ts";
import { type TenantOnDisk, tenantOnDisk } from "../../support/tenant-on-disk.ts";

const ROOT = join(import.meta.dirname, "../../..");
const PROGRAM = join(ROOT, "src/bin/conductor.ts");
const HOOK = join(ROOT, "test/support/loaded-modules.ts");
/** First module of everything that has nothing to do with answers. */
const REST = "src/roles/tenant-agent.ts";
const START_MS = 60_000;

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
    const list = join(directory, "loaded");
    const running = spawn(process.execPath, ["--import", HOOK, PROGRAM, "agent"], {
      env: { ...tenant.environment, LOADED_MODULES: list },
      stdio: ["ignore", "pipe", "inherit"],
    });
    child = running;
    const exited = new Promise((resolve) => running.once("exit", resolve));
    let log = "";
    running.stdout.setEncoding("utf8").on("data", (text: string) => (log += text));
    await expect.poll(() => log, { timeout: START_MS }).toContain('"msg":"answering; the rest of the tenant follows"');
    const client = createGrpcClient(PermissionService, {
      address: `127.0.0.1:${tenant.port}`,
      credentials: clientCredentials(tenant.operator),
    });
    const asked = { principal: "alice", resource: "pods", namespace: "default" };
    expect(await client.checkPermission({ ...asked, verb: "get" })).toMatchObject({ allowed: true });
    expect(await client.checkPermission({ ...asked, verb: "delete" })).toMatchObject({ allowed: false });
    client.close();
    await expect.poll(() => log, { timeout: START_MS }).toContain('"msg":"tenant is up"');

    const loaded = (await readFile(list, "utf8")).split("\n").filter(Boolean);
    const rest = loaded.findIndex((url) => url.endsWith(REST));
    expect(rest).toBeGreaterThan(0);
    const first = loaded.slice(0, rest).filter((url) => url !== `file://${HOOK}`);
    const packages = first.flatMap((url) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1] ?? []);
    expect([...new Set(packages)].filter((name) => !PACKAGES.has(name))).toEqual([]);
    const own = first.flatMap((url) => /\/src\/([^/]+)\//.exec(url.slice(`file://${ROOT}`.length))?.[1] ?? []);
    expect([...new Set(own)].filter((room) => !ROOMS.has(room))).toEqual([]);
    expect(own.length).toBeLessThanOrEqual(MOST_OWN_FILES);
    expect(first.length).toBeLessThanOrEqual(MOST_FILES);

    running.kill("SIGTERM");
    await exited;
    expect(await readdir(join(directory, "compile-cache"))).not.toEqual([]);
  },
);

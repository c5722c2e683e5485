import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { rolldown } from "rolldown";
import { afterAll, beforeAll, expect, it } from "vitest";
import { conductorBundle } from "../../../rolldown.config.ts";
import { PermissionService } from "../../../src/api/gen/ontai/security/v1alpha1/permission_pb.ts";
import { createGrpcClient } from "../../../src/api/grpc/client.ts";
import { clientCredentials } from "../../../src/trust/tls/client-credentials.ts";
import { oneGrant } from "../../support/snapshot-bench.ts";
import { tenantOnDisk } from "../../support/tenant-on-disk.ts";

const ROOT = join(import.meta.dirname, "../../..");
const HOOK = join(ROOT, "test/support/loaded-modules.ts");
const START_MS = 60_000;
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
    const list = join(directory, "loaded");
    const running = spawn(process.execPath, ["--import", HOOK, join(places.output, "conductor.js"), "agent"], {
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
    // What a module finds by its own place is found: the worker of the store, the CRDs, the version.
    await expect.poll(() => log, { timeout: START_MS }).toContain('"msg":"tenant is up"');

    const loaded = (await readFile(list, "utf8"))
      .split("\n")
      .filter((url) => url.startsWith("file:") && url !== `file://${HOOK}`);
    const rest = loaded.findIndex((url) => url.includes("/conductor-tenant-agent-"));
    expect(rest).toBeGreaterThan(0);
    expect(rest).toBeLessThanOrEqual(MOST_FILES);
    running.kill("SIGTERM");
    await exited;
  },
);

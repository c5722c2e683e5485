import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";

const run = promisify(execFile);
/** Generous: a loaded machine reads hundreds of files. */
const LIMIT_MS = 60_000;

/** Packages that are loaded when a module of ours is imported, in a process of its own. */
async function loadedBy(module: string): Promise<readonly string[]> {
  const hooks = new URL("./list-modules.ts", import.meta.url);
  const target = new URL(`../../../src/${module}`, import.meta.url);
  const { stdout } = await run(
    process.execPath,
    [
      "--import",
      hooks.href,
      "--input-type=module",
      "-e",
      `await import(${JSON.stringify(target.href)}); process.exit(0)`,
    ],
    {
      cwd: fileURLToPath(new URL("../../..", import.meta.url)),
      env: { PATH: process.env["PATH"] ?? "" },
      timeout: LIMIT_MS,
    },
  );
  return stdout.split("\n").filter(Boolean).toSorted();
}

/** Heavy packages that an agent may load only for what needs them: an API server of its own or a real one, an issuer, a database. */
const ONLY_WHEN_NEEDED = new Set([
  "@kubernetes/client-node",
  "@marcbachmann/cel-js",
  "ajv",
  "commander",
  "js-yaml",
  "pg",
  "undici",
]);

/** Whether Node itself has loaded `fetch` and `WebSocket` once a module of ours is imported. */
async function loadsFetch(module: string): Promise<boolean> {
  const target = new URL(`../../../src/${module}`, import.meta.url);
  const { stdout } = await run(
    process.execPath,
    [
      "--input-type=module",
      "-e",
      `await import(${JSON.stringify(target.href)}); console.log(String(process.moduleLoadList)); process.exit(0)`,
    ],
    { env: { PATH: process.env["PATH"] ?? "" }, timeout: LIMIT_MS },
  );
  expect(stdout).toContain("NativeModule http2");
  return stdout.includes("NativeModule internal/deps/undici/undici");
}

describe("what an agent keeps in memory", () => {
  it("neither a tenant nor an embedded cluster loads Node's fetch", { timeout: LIMIT_MS }, async () => {
    for (const module of [
      "roles/tenant.ts",
      "roles/tenant-agent.ts",
      "permissions/http/start-permission-http.ts",
      "cluster/serve/serve-cluster.ts",
    ])
      expect({ module, fetch: await loadsFetch(module) }).toEqual({ module, fetch: false });
  });

  it("the spoke alone needs gRPC and protobuf, and nothing else", { timeout: LIMIT_MS }, async () => {
    expect(await loadedBy("federation/spoke/start-spoke.ts")).toEqual([
      "@bufbuild/protobuf",
      "@grpc/grpc-js",
      "@js-sdsl/ordered-map",
    ]);
  });

  it(
    "a tenant that answers questions, and the agent behind it, load nothing that they may never need",
    { timeout: LIMIT_MS },
    async () => {
      for (const module of ["roles/tenant.ts", "roles/tenant-agent.ts"]) {
        const loaded = await loadedBy(module);
        const heavy = loaded.filter((name) => ONLY_WHEN_NEEDED.has(name));
        expect({ module, grpc: loaded.includes("@grpc/grpc-js"), heavy }).toEqual({ module, grpc: true, heavy: [] });
      }
    },
  );

  it("finds a heavy package where there is one", { timeout: LIMIT_MS }, async () => {
    expect(await loadedBy("cluster/kubernetes/transport.ts")).toContain("undici");
  });
});

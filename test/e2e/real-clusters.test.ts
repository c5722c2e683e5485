import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type RealApiServer, realServerAssets, startRealApiServer } from "../support/real-api-server.ts";
import { freeOffset, seamctl } from "./run-seamctl.ts";

const assets = realServerAssets();
const skipped = assets === undefined ? " (skipped: no kube-apiserver and etcd, see KUBEBUILDER_ASSETS)" : "";

describe.skipIf(assets === undefined)(`management and a tenant on real API servers${skipped}`, () => {
  const parent = mkdtempSync(join(tmpdir(), "seam-real-mesh-"));
  let servers: readonly RealApiServer[] = [];

  beforeAll(async () => {
    servers = await Promise.all([startRealApiServer(assets ?? ""), startRealApiServer(assets ?? "")]);
  }, 120_000);
  afterAll(async () => {
    await Promise.all(servers.map((server) => server.close()));
    rmSync(parent, { recursive: true, force: true });
  });

  const flags = (): readonly string[] => {
    const [management, tenant] = servers;
    return [
      "--management-kubeconfig",
      management?.kubeconfig ?? "",
      "--tenant-kubeconfig",
      tenant?.kubeconfig ?? "",
      "--simulate-nodes",
    ];
  };

  it("walks the whole tour", async () => {
    const offset = String(await freeOffset());
    const result = await seamctl("tour", "--dir", join(parent, "mesh"), "--port-offset", offset, ...flags());
    expect(result).toMatchObject({ code: 0, stdout: expect.stringContaining("tour complete") });
  });

  it("refuses the servers to another mesh, by name and with a way out", async () => {
    const other = ["--dir", join(parent, "other"), "--port-offset", String(await freeOffset()), "--exit-when-ready"];
    const result = await seamctl("up", ...other, ...flags());
    expect(result.stderr).toMatch(/API server of management/);
    expect(result.stderr).toMatch(/this mesh's signing key/);
    expect(result.stderr).toMatch(/use the state directory it was used with \(--dir\), or a fresh API server/);
    expect(result.code).toBe(1);
  });

  it("says what is wrong with a kubeconfig", async () => {
    const file = join(parent, "broken.yaml");
    writeFileSync(file, "apiVersion: v1\nkind: Config\n");
    const result = await seamctl("up", "--dir", join(parent, "third"), "--management-kubeconfig", file);
    expect(result.stderr).toMatch(/broken\.yaml.*current-context/);
    expect(result.code).toBe(1);
  });

  it("names a tenant that there is not", async () => {
    const result = await seamctl("up", "--dir", join(parent, "fourth"), "--tenant-kubeconfig", "edge=x.yaml");
    expect(result.stderr).toMatch(/edge is none of tenant-1, tenant-2, tenant-3/);
    expect(result.code).toBe(2);
  });
});

import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findProgram } from "../support/find-program.ts";
import { type RunningCommand, freeOffset, meshUp } from "./run-seamctl.ts";

const run = promisify(execFile);
const directory = mkdtempSync(join(tmpdir(), "seam-grpc-"));
const BUF = fileURLToPath(new URL("../../node_modules/.bin/buf", import.meta.url));

/** A generic client of gRPC, which knows a service only by its reflection. */
interface GenericClient {
  list(server: Server): Promise<readonly string[]>;
  describe(server: Server, name: string): Promise<string>;
  call(server: Server, method: string, request?: object): Promise<unknown>;
}

/** One port, and the certificate that it lets in. */
interface Server {
  readonly address: string;
  /** Folder of `ca.crt`, `tls.crt` and `tls.key`. */
  readonly material: string;
}

/** Flags of the certificate, with the client's kind of dash. */
function flags(dash: string, { material }: Server): readonly string[] {
  const file = { cacert: "ca.crt", cert: "tls.crt", key: "tls.key" };
  return Object.entries(file).flatMap(([flag, name]) => [dash + flag, join(material, name)]);
}

function grpcurl(program: string): GenericClient {
  const ask = async (server: Server, ...args: readonly string[]): Promise<string> =>
    (await run(program, [...flags("-", server), ...args])).stdout;
  return {
    list: async (server) => (await ask(server, server.address, "list")).trim().split("\n"),
    describe: (server, name) => ask(server, server.address, "describe", name),
    call: async (server, method, request = {}) =>
      JSON.parse(await ask(server, "-d", JSON.stringify(request), server.address, method)),
  };
}

/** Comes with `npm ci`. */
function bufCurl(): GenericClient {
  const ask = async (server: Server, ...args: readonly string[]): Promise<string> =>
    (await run(BUF, ["curl", "--protocol", "grpc", ...flags("--", server), ...args])).stdout;
  return {
    list: async (server) => (await ask(server, "--list-services", `https://${server.address}`)).trim().split("\n"),
    describe: (server) => ask(server, "--list-methods", `https://${server.address}`),
    call: async (server, method, request = {}) =>
      JSON.parse(await ask(server, "-d", JSON.stringify(request), `https://${server.address}/${method}`)),
  };
}

const offset = await freeOffset();
const local = (port: number): string => `127.0.0.1:${port + offset}`;
const fleet: Server = { address: local(9444), material: join(directory, "operator") };
const federation: Server = { address: local(9443), material: join(directory, "tenants/tenant-1/federation") };
const permission: Server = { address: local(50_051), material: join(directory, "tenants/tenant-1/operator") };

const installed = process.env["GRPCURL"] ?? findProgram("grpcurl");
const clients: readonly (readonly [string, GenericClient])[] = [
  ["buf curl", bufCurl()],
  ...(installed === undefined ? [] : [["grpcurl", grpcurl(installed)] as const]),
];

let up: RunningCommand;
beforeAll(async () => {
  up = await meshUp(directory, offset, "--tenants", "1");
}, 150_000);
afterAll(async () => {
  await up.stop();
  rmSync(directory, { recursive: true, force: true });
});

if (installed === undefined) {
  it("is asked by grpcurl, which is not on this machine (.ci/real-parts grpcurl builds it)", (context) =>
    context.skip());
}

describe.each(clients)("the gRPC surface, as %s sees it", (_, client) => {
  it("9444 serves the fleet to operators", async () => {
    expect(await client.list(fleet)).toEqual(
      expect.arrayContaining([
        "conductor.fleet.v1alpha1.FleetService",
        "conductor.fleet.v1alpha1.ReceiptService",
        "conductor.fleet.v1alpha1.RevocationService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
      ]),
    );
    expect(await client.describe(fleet, "conductor.fleet.v1alpha1.FleetService")).toContain("ExplainItem");
    expect(await client.call(fleet, "conductor.fleet.v1alpha1.FleetService/ListAgents")).toMatchObject({
      agents: [{ cluster: "tenant-1", connected: true }],
    });
    expect(await client.call(fleet, "conductor.fleet.v1alpha1.ReceiptService/ListReceipts")).toMatchObject({
      receipts: [{ name: "hello-tenant-1", level: "LEVEL_HEALTHY" }],
    });
  });

  it("9443 serves health and reflection to tenants", async () => {
    expect(await client.list(federation)).toContain("conductor.federation.v1alpha1.FederationService");
    expect(await client.describe(federation, "conductor.federation.v1alpha1.FederationService")).toContain("Stream");
    expect(await client.call(federation, "grpc.health.v1.Health/Check")).toEqual({ status: "SERVING" });
  });

  it("50051 serves decisions to the tenant's operator", async () => {
    expect(await client.list(permission)).toContain("ontai.security.v1alpha1.PermissionService");
    expect(await client.describe(permission, "ontai.security.v1alpha1.PermissionService")).toContain("CheckPermission");
    const request = {
      principal: "system:serviceaccount:hello:hello",
      verb: "get",
      resource: "pods",
      namespace: "hello",
    };
    expect(
      await client.call(permission, "ontai.security.v1alpha1.PermissionService/CheckPermission", request),
    ).toMatchObject({ allowed: true, code: "ALLOWED" });
  });

  it("an error tells what was wrong", async () => {
    const asked = client.call(fleet, "conductor.fleet.v1alpha1.FleetService/ExplainItem", {
      cluster: "nowhere",
      name: "x",
    });
    await expect(asked).rejects.toThrow(/must be a registered TalosCluster with role tenant/);
  });
});

import { X509Certificate } from "node:crypto";
import { mkdtemp, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ManualClock } from "../../base/clock.ts";
import { tenantIdentity } from "../identity/tenant-identity.ts";
import { refuseSigningKeyOnTenant } from "../keyring/signing-key.ts";
import { createDevelopmentTrust } from "./development-trust.ts";

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "seam-trust-"));
});
afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

async function files(): Promise<ReadonlyMap<string, string>> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const contents = new Map<string, string>();
  for (const entry of entries.filter((e) => e.isFile())) {
    const path = join(entry.parentPath, entry.name);
    contents.set(relative(directory, path), await readFile(path, "utf8"));
  }
  return contents;
}

describe("createDevelopmentTrust", () => {
  it("creates the documented files, private keys for the owner only and the signing key under management only", async () => {
    await createDevelopmentTrust({ directory, clusters: ["tenant-1", "tenant-2"], clock: new ManualClock() });
    const all = await files();
    for (const folder of ["operator", "tenants/tenant-1/federation", "tenants/tenant-2/operator"])
      for (const name of ["ca.crt", "tls.crt", "tls.key"]) expect([...all.keys()]).toContain(`${folder}/${name}`);
    const secret = [...all].filter(([, content]) => content.includes("PRIVATE KEY")).map(([path]) => path);
    const modes = await Promise.all(secret.map(async (path) => (await stat(join(directory, path))).mode & 0o777));
    expect(new Set(modes)).toEqual(new Set([0o600]));
    expect(secret.filter((path) => path.endsWith(".pem"))).toEqual(["management/trust/signing/private.pem"]);
    expect([...all.keys()].filter((path) => path.includes(".tmp"))).toEqual([]);
  });

  it("changes nothing on a second run, and only adds what a new tenant needs", async () => {
    const clock = new ManualClock();
    await createDevelopmentTrust({ directory, clusters: ["tenant-1"], clock });
    const first = await files();
    await createDevelopmentTrust({ directory, clusters: ["tenant-1", "tenant-2"], clock });
    const second = await files();
    expect([...second].filter(([path]) => first.has(path))).toEqual([...first]);
    expect(
      [...second.keys()].filter((path) => !first.has(path)).every((path) => path.startsWith("tenants/tenant-2/")),
    ).toBe(true);
  });

  it("replaces a damaged certificate and one near its end, and keeps the CA", async () => {
    const clock = new ManualClock();
    const paths = await createDevelopmentTrust({ directory, clusters: ["tenant-1"], clock });
    const ca = await readFile(paths.federationAuthority.certificate, "utf8");
    const hub = await readFile(paths.hub.certificate, "utf8");
    await writeFile(paths.operator.certificate, "damaged");
    await createDevelopmentTrust({ directory, clusters: ["tenant-1"], clock });
    expect(await readFile(paths.operator.certificate, "utf8")).toContain("BEGIN CERTIFICATE");
    expect(await readFile(paths.hub.certificate, "utf8")).toBe(hub);
    clock.jumpWall(300 * 86_400_000);
    await createDevelopmentTrust({ directory, clusters: ["tenant-1"], clock });
    expect(await readFile(paths.hub.certificate, "utf8")).not.toBe(hub);
    expect(await readFile(paths.federationAuthority.certificate, "utf8")).toBe(ca);
  });

  it("gives a tenant an identity the hub accepts, and an operator nobody else's CA verifies", async () => {
    const clock = new ManualClock();
    const paths = await createDevelopmentTrust({ directory, clusters: ["tenant-1", "tenant-2"], clock });
    const tenant = paths.tenants.get("tenant-1");
    const other = paths.tenants.get("tenant-2");
    if (tenant === undefined || other === undefined) throw new Error("both tenants have paths");
    const certificate = new X509Certificate(await readFile(tenant.federation.certificate));
    expect(tenantIdentity(certificate, clock.now())).toMatchObject({ ok: true, identity: { cluster: "tenant-1" } });
    const operator = new X509Certificate(await readFile(tenant.operator.certificate));
    for (const foreign of [paths.internalAuthority.certificate, other.authority.certificate])
      expect(operator.verify(new X509Certificate(await readFile(foreign)).publicKey)).toBe(false);
    await expect(refuseSigningKeyOnTenant([tenant.operator.certificate, undefined])).resolves.toBeUndefined();
    await expect(refuseSigningKeyOnTenant([paths.signing.privateKey])).rejects.toThrow(
      /no signing private key may be present: only management signs \(INV-026\)/,
    );
  });

  it("refuses a CA certificate whose key was taken away, with the way out", async () => {
    const clock = new ManualClock();
    const paths = await createDevelopmentTrust({ directory, clusters: [], clock });
    await rm(paths.federationAuthority.key);
    await expect(createDevelopmentTrust({ directory, clusters: [], clock })).rejects.toThrow(
      /certification authority: .* restore both files, or remove both/,
    );
  });
});

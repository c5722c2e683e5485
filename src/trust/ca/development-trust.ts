import { isIP } from "node:net";
import { createPublicKey } from "node:crypto";
import { join } from "node:path";
import type { Clock } from "../../base/clock.ts";
import { SeamError } from "../../base/errors.ts";
import { type Random, systemRandom } from "../../base/random.ts";
import { keyIdOf, shortKeyId } from "../dsse.ts";
import { PRIVATE_FILE_MODE, PUBLIC_FILE_MODE, readFileIfPresent, writeFileDurably } from "../durable-file.ts";
import { clusterIdFault } from "../identity/cluster-id.ts";
import { generateSigningKeyPair, parseSigningKey } from "../keyring/ed25519-keys.ts";
import type { CertificateAuthority, CertificateAuthorityParts } from "./certificate-authority.ts";
import type { CertificateProfile } from "./certificate-profile.ts";
import { type DevelopmentTrustPaths, type TenantTrustPaths, developmentTrustPaths } from "./development-trust-paths.ts";
import { ensureAuthority, ensureIdentity } from "./stored-identity.ts";

/** User name of the operator certificates. */
export const OPERATOR_USER = "operator";
/** Groups of the operator certificates: the fleet's operators, and Kubernetes' built-in administrators. */
export const OPERATOR_GROUPS: readonly string[] = ["seam:operators", "system:masters"];
/** DNS name every hub server certificate carries besides the given hosts (`FEDERATION_SERVER_NAME`). */
export const HUB_SERVER_NAME = "conductor-federation";
/** Names of this machine, used when no hosts are given. */
export const LOCAL_HOSTS: readonly string[] = ["localhost", "127.0.0.1", "::1"];

/** What {@link createDevelopmentTrust} creates or completes. */
export interface DevelopmentTrustOptions {
  /** State directory. */
  readonly directory: string;
  /** Tenants' cluster ids. */
  readonly clusters: readonly string[];
  /** DNS names and IP addresses of the servers; {@link LOCAL_HOSTS} when absent. */
  readonly hosts?: readonly string[];
  readonly clock: Clock;
  readonly random?: Random;
}

/**
 * Creates the trust material of a development mesh under a state directory, or completes what is already there: a second run
 * changes nothing except certificates that are near their end, damaged, or lack a host, and adds what a new tenant needs. Every file
 * is written atomically, private keys with mode 0600. Each tenant has its own CA, so a tenant's operator is nobody elsewhere; the
 * private signing key stays under `management/`.
 *
 * @throws SeamError `ClusterIdInvalid`, `CertificateAuthorityInvalid`, `SigningKeyInvalid`
 */
export async function createDevelopmentTrust(options: DevelopmentTrustOptions): Promise<DevelopmentTrustPaths> {
  for (const cluster of options.clusters) {
    const fault = clusterIdFault(cluster);
    if (fault !== undefined)
      throw new SeamError({
        reason: "ClusterIdInvalid",
        object: `cluster "${cluster}"`,
        expected: `expected ${fault}`,
      });
  }
  const parts = { clock: options.clock, random: options.random ?? systemRandom };
  const nowMs = options.clock.now();
  const paths = developmentTrustPaths(options.directory, options.clusters);
  const federation = await ensureAuthority(paths.federationAuthority, "seam federation CA", parts);
  const internal = await ensureAuthority(paths.internalAuthority, "seam internal CA", parts);
  const hosts = options.hosts ?? LOCAL_HOSTS;
  const publicKeyPem = await ensureSigningKey(paths);

  await ensureIdentity(
    paths.hub,
    server("hub", [HUB_SERVER_NAME, ...hosts]),
    federation,
    federation.certificatePem,
    nowMs,
  );
  for (const [files, profile] of [
    [paths.internal, server("conductor", hosts)],
    [paths.apiServer, server("management", ["kubernetes", ...hosts])],
    [paths.operator, OPERATOR],
  ] as const)
    await ensureIdentity(files, profile, internal, internal.certificatePem, nowMs);

  for (const [cluster, tenant] of paths.tenants)
    await ensureTenant(cluster, tenant, { federation, publicKeyPem, hosts, parts, nowMs });
  return paths;
}

const OPERATOR: CertificateProfile = { kind: "operator", user: OPERATOR_USER, groups: OPERATOR_GROUPS };

async function ensureTenant(
  cluster: string,
  paths: TenantTrustPaths,
  shared: {
    readonly federation: CertificateAuthority;
    readonly publicKeyPem: string;
    readonly hosts: readonly string[];
    readonly parts: CertificateAuthorityParts;
    readonly nowMs: number;
  },
): Promise<void> {
  const { federation, hosts, parts, nowMs } = shared;
  await ensureIdentity(paths.federation, { kind: "tenant", cluster }, federation, federation.certificatePem, nowMs);
  const own = await ensureAuthority(paths.authority, `seam ${cluster} CA`, parts);
  for (const [files, profile] of [
    [paths.operator, OPERATOR],
    [paths.permissionService, server("permission-service", hosts)],
    [paths.apiServer, server(cluster, ["kubernetes", ...hosts])],
    [paths.webhook, server("conductor-webhook", hosts)],
  ] as const)
    await ensureIdentity(files, profile, own, own.certificatePem, nowMs);
  await ensurePublicKey(paths.signingKeys, shared.publicKeyPem);
}

/** Makes sure the signing pair exists; returns its public half, PEM. */
async function ensureSigningKey(paths: DevelopmentTrustPaths): Promise<string> {
  let privateKeyPem = (await readFileIfPresent(paths.signing.privateKey))?.toString();
  if (privateKeyPem === undefined) {
    privateKeyPem = (await generateSigningKeyPair()).privateKeyPem;
    await writeFileDurably(paths.signing.privateKey, privateKeyPem, PRIVATE_FILE_MODE);
  }
  const privateKey = parseSigningKey(privateKeyPem, `signing key ${paths.signing.privateKey}`);
  const publicKeyPem = createPublicKey(privateKey).export({ type: "spki", format: "pem" }).toString();
  if ((await readFileIfPresent(paths.signing.publicKey))?.toString() !== publicKeyPem)
    await writeFileDurably(paths.signing.publicKey, publicKeyPem, PUBLIC_FILE_MODE);
  await ensurePublicKey(paths.signingKeys, publicKeyPem);
  return publicKeyPem;
}

/** Adds a public key to a ring folder under its short id; earlier keys stay until a person retires them. */
async function ensurePublicKey(directory: string, publicKeyPem: string): Promise<void> {
  const path = join(directory, `${shortKeyId(keyIdOf(createPublicKey(publicKeyPem)))}.pem`);
  if ((await readFileIfPresent(path))?.toString() !== publicKeyPem)
    await writeFileDurably(path, publicKeyPem, PUBLIC_FILE_MODE);
}

function server(commonName: string, names: readonly string[]): CertificateProfile {
  return {
    kind: "server",
    commonName,
    dnsNames: names.filter((name) => isIP(name) === 0),
    ipAddresses: names.filter((name) => isIP(name) !== 0),
  };
}

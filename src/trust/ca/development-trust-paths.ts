import { join } from "node:path";

/** The three files of one TLS identity. */
export interface TlsFiles {
  /** CA bundle its peer is verified against. */
  readonly ca: string;
  readonly certificate: string;
  /** PKCS#8 PEM, mode 0600. */
  readonly key: string;
}

/** A CA's certificate and key. */
export interface AuthorityFiles {
  readonly certificate: string;
  readonly key: string;
}

/** Trust material of one tenant, all below `tenants/NAME`. */
export interface TenantTrustPaths {
  /** Client of the hub, 9443: the SAN is the cluster id. */
  readonly federation: TlsFiles;
  /** A person's client of this tenant's PermissionService and API server, and of no other cluster's. */
  readonly operator: TlsFiles;
  /** Server of PermissionService, 50051. Its `ca` verifies callers. */
  readonly permissionService: TlsFiles;
  /** Server of the tenant's API server. Its `ca` verifies callers. */
  readonly apiServer: TlsFiles;
  /** Server of the tenant's webhooks. */
  readonly webhook: TlsFiles;
  /** Folder of trusted public signing keys (`SIGNING_KEYS_DIR`). */
  readonly signingKeys: string;
  /** The tenant's own CA, which signs the four above except `federation`. */
  readonly authority: AuthorityFiles;
}

/** Trust material of a whole mesh (docs/state-directory.md). */
export interface DevelopmentTrustPaths {
  /** Signs federation servers and tenants' client certificates. */
  readonly federationAuthority: AuthorityFiles;
  /** Signs the management side's internal servers and their operators. */
  readonly internalAuthority: AuthorityFiles;
  /** Ed25519 pair that signs desired state. The private half exists only here. */
  readonly signing: { readonly privateKey: string; readonly publicKey: string };
  /** Folder of trusted public signing keys on management. */
  readonly signingKeys: string;
  /** Server of the hub, 9443 and 9445. Its `ca` verifies tenants. */
  readonly hub: TlsFiles;
  /** Server of the internal services, 9444. Its `ca` verifies operators. */
  readonly internal: TlsFiles;
  /** Server of the management cluster's API server. Its `ca` verifies operators. */
  readonly apiServer: TlsFiles;
  /** A person's client of 9444 and of the management API server. */
  readonly operator: TlsFiles;
  /** By cluster id. */
  readonly tenants: ReadonlyMap<string, TenantTrustPaths>;
}

/** Where everything lies below the state directory. Pure: nothing is read or created. */
export function developmentTrustPaths(directory: string, clusters: readonly string[]): DevelopmentTrustPaths {
  const management = join(directory, "management", "trust");
  return {
    federationAuthority: authority(join(management, "federation-ca")),
    internalAuthority: authority(join(management, "internal-ca")),
    signing: {
      privateKey: join(management, "signing", "private.pem"),
      publicKey: join(management, "signing", "public.pem"),
    },
    signingKeys: join(management, "signing-keys"),
    hub: tls(join(management, "hub")),
    internal: tls(join(management, "internal")),
    apiServer: tls(join(management, "apiserver")),
    operator: tls(join(directory, "operator")),
    tenants: new Map(clusters.map((cluster) => [cluster, tenantPaths(join(directory, "tenants", cluster))])),
  };
}

function tenantPaths(directory: string): TenantTrustPaths {
  const trust = join(directory, "trust");
  return {
    federation: tls(join(directory, "federation")),
    operator: tls(join(directory, "operator")),
    permissionService: tls(join(trust, "permission-service")),
    apiServer: tls(join(trust, "apiserver")),
    webhook: tls(join(trust, "webhook")),
    signingKeys: join(trust, "signing-keys"),
    authority: authority(join(trust, "ca")),
  };
}

function tls(directory: string): TlsFiles {
  return { ca: join(directory, "ca.crt"), certificate: join(directory, "tls.crt"), key: join(directory, "tls.key") };
}

function authority(directory: string): AuthorityFiles {
  return { certificate: join(directory, "ca.crt"), key: join(directory, "ca.key") };
}

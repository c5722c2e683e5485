import { PermissionService } from "../../src/api/gen/ontai/security/v1alpha1/permission_pb.ts";
import { createGrpcClient } from "../../src/api/grpc/client.ts";
import { type Clock, systemClock } from "../../src/base/clock.ts";
import type { JsonObject } from "../../src/base/json.ts";
import { silentLog } from "../../src/base/log.ts";
import { silentMetrics } from "../../src/base/metrics.ts";
import { SeededRandom } from "../../src/base/random.ts";
import { ComputedContent } from "../../src/permissions/builder/computed-content.ts";
import type { DeclaredGrant } from "../../src/permissions/decision/trimmed-grants.ts";
import { fleetPermissionMethods } from "../../src/permissions/fleet/fleet-methods.ts";
import { FleetPermissions, type FleetPermissionsParts } from "../../src/permissions/fleet/fleet-permissions.ts";
import type { LiveCluster, LivePermissions } from "../../src/permissions/fleet/live-permissions.ts";
import { authenticateCaller } from "../../src/permissions/service/caller.ts";
import { DecisionAudit } from "../../src/permissions/service/decision-audit.ts";
import { permissionService } from "../../src/permissions/service/permission-handlers.ts";
import { type SnapshotContent, encodeContent } from "../../src/permissions/snapshot/content.ts";
import { snapshotVersion } from "../../src/permissions/snapshot/snapshot-version.ts";
import { CertificateAuthority } from "../../src/trust/ca/certificate-authority.ts";
import { clientCredentials } from "../../src/trust/tls/client-credentials.ts";
import { startGrpcServer } from "../../src/trust/tls/grpc-server.ts";
import { fixedTls } from "../../src/trust/tls/tls-material.ts";
import type { PermissionClient } from "./permission-contract.ts";

/** A computed content, as the engine hands it on. */
export function computedContent(content: SnapshotContent): ComputedContent {
  const { bytes, contentHash } = encodeContent(content);
  return new ComputedContent(
    content.targetCluster,
    contentHash,
    { texts: [Buffer.from(bytes).toString()], byteLength: bytes.length },
    content,
  );
}

/** Live permissions that a test sets. */
export class SetPermissions implements LivePermissions {
  readonly #clusters = new Map<string, LiveCluster>();
  readonly #listeners = new Set<(cluster: string | undefined) => void>();
  #sequence = 0;

  get sequence(): number {
    return this.#sequence;
  }

  of(cluster: string): LiveCluster {
    return this.#clusters.get(cluster) ?? { state: "unknown" };
  }

  declared(): Iterable<DeclaredGrant> {
    return [];
  }

  subscribe(listener: (cluster: string | undefined) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  set(cluster: string, live: LiveCluster): void {
    this.#clusters.set(cluster, live);
    for (const listener of this.#listeners) listener(cluster);
  }

  /** Computed, and not published: what was published before stays so. */
  compute(content: SnapshotContent): void {
    const before = this.of(content.targetCluster);
    const published = before.state === "computed" ? before.published : undefined;
    this.set(content.targetCluster, { state: "computed", content: computedContent(content), published, ageMs: 0 });
  }

  /** Publishes what is computed, under the next version. */
  publish(cluster: string): string {
    const live = this.of(cluster);
    if (live.state !== "computed") throw new Error(`nothing is computed for ${cluster}`);
    return this.#published(live.content);
  }

  /** Computes and publishes at once, under the next version. */
  activate(content: SnapshotContent): string {
    return this.#published(computedContent(content));
  }

  #published(content: ComputedContent): string {
    this.#sequence++;
    const { contentHash, cluster } = content;
    const position = { epoch: 1_700_000_000, sequence: this.#sequence };
    const version = snapshotVersion(position, contentHash);
    this.set(cluster, { state: "computed", content, published: { ...position, version, contentHash }, ageMs: 0 });
    return version;
  }
}

/** PermissionService over a fleet, with real TLS. */
export interface FleetSide {
  readonly live: SetPermissions;
  readonly fleet: FleetPermissions;
  readonly events: JsonObject[];
  clientOf(user: string, groups: readonly string[]): Promise<PermissionClient>;
  close(): Promise<void>;
}

/** Opens it with no cluster. */
export async function openFleetSide(
  bounds: Pick<FleetPermissionsParts, "maxBytes" | "maxClusters"> & { readonly clock?: Clock } = {},
): Promise<FleetSide> {
  const stop = new AbortController();
  const live = new SetPermissions();
  const events: JsonObject[] = [];
  const clients: { close(): void }[] = [];
  const random = new SeededRandom(1);
  const common = { clock: bounds.clock ?? systemClock, log: silentLog };
  const lane = {
    audit: (event: JsonObject) => {
      events.push(event);
      return Promise.resolve();
    },
  };
  const fleet = new FleetPermissions({
    live,
    audit: new DecisionAudit({ lane, random, ...common }),
    random,
    metrics: silentMetrics,
    signal: stop.signal,
    ...common,
    ...bounds,
  });
  const ca = await CertificateAuthority.create("operators", { clock: systemClock });
  const names = { dnsNames: ["localhost"], ipAddresses: ["127.0.0.1"] };
  const certificate = await ca.issue({ kind: "server", commonName: "hub", ...names });
  const server = await startGrpcServer({
    address: "127.0.0.1",
    port: 0,
    tls: fixedTls({ ...certificate, caPem: ca.certificatePem }),
    services: [permissionService(fleetPermissionMethods(fleet))],
    authenticate: (shown) => authenticateCaller(shown, systemClock.now()),
    log: silentLog,
    signal: stop.signal,
  });
  return {
    live,
    fleet,
    events,
    async clientOf(user, groups) {
      const issued = await ca.issue({ kind: "operator", user, groups });
      const credentials = clientCredentials({ ...issued, caPem: ca.certificatePem });
      const client = createGrpcClient(PermissionService, { address: `127.0.0.1:${server.port}`, credentials });
      clients.push(client);
      return client;
    },
    async close() {
      for (const client of clients) client.close();
      stop.abort();
      await server.closed;
    },
  };
}

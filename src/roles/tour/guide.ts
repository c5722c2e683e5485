import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  type DriftSignalView,
  FleetService,
  type ExplainItemResponse,
} from "../../api/gen/conductor/fleet/v1alpha1/fleet_pb.ts";
import {
  type CheckPermissionResponse,
  PermissionService,
} from "../../api/gen/ontai/security/v1alpha1/permission_pb.ts";
import { type GrpcClient, createGrpcClient } from "../../api/grpc/client.ts";
import { Deployment } from "../../api/builtin.ts";
import type { DeploymentObject } from "../../api/builtin.ts";
import { PackDelivery } from "../../api/kinds/pack-delivery.ts";
import { NAMESPACES } from "../../api/names.ts";
import type { Clock } from "../../base/clock.ts";
import { ifPresent } from "../../cluster/if-present.ts";
import { openOciLayout } from "../../packs/store/oci-layout.ts";
import { generateSigningKeyPair } from "../../trust/keyring/ed25519-keys.ts";
import { developmentTrustPaths } from "../../trust/ca/development-trust-paths.ts";
import { clientCredentials } from "../../trust/tls/client-credentials.ts";
import type { Mesh, MeshStatus } from "../mesh/mesh.ts";
import { ALL_TENANTS, type PublishedPack, deliveryName, publishPack } from "../publish-pack.ts";
import { NotYet, waitFor } from "./step.ts";

/** Longest wait for anything of the tour, milliseconds. */
const STEP_TIMEOUT_MS = 90_000;

/** What the steps do to a mesh, and what they look for: everything through the interfaces a person has. */
export class TourGuide {
  readonly mesh: Mesh;
  readonly directory: string;
  readonly clock: Clock;
  readonly #signal: AbortSignal;
  readonly #clients: { close(): void }[] = [];
  #fleet: GrpcClient<typeof FleetService> | undefined;

  constructor(mesh: Mesh, options: { readonly directory: string; readonly clock: Clock }, signal: AbortSignal) {
    this.mesh = mesh;
    this.directory = options.directory;
    this.clock = options.clock;
    this.#signal = signal;
  }

  /** `--dir` as it must be typed. */
  get dirFlag(): string {
    return ` --dir ${this.directory}`;
  }

  async close(): Promise<void> {
    for (const client of this.#clients) client.close();
  }

  until<R>(what: string, look: () => Promise<R | NotYet>, timeoutMs = STEP_TIMEOUT_MS): Promise<R> {
    return waitFor(what, look, { clock: this.clock, signal: this.#signal, timeoutMs });
  }

  /** Waits until the whole mesh is at rest. */
  ready(): Promise<MeshStatus> {
    return this.until("a mesh at rest", async () => {
      const status = await this.mesh.status();
      return status.readiness.ready
        ? status
        : new NotYet(`${status.readiness.waitingFor.join("; ")} ${status.hubError}`.trim());
    });
  }

  /** Waits until every tenant has this version of a pack, verified and healthy, and the mesh is at rest. */
  delivered(pack: string, version: string, tenants = this.mesh.tenantNames): Promise<MeshStatus> {
    return this.until(`${pack} ${version} healthy on ${tenants.join(", ")}`, async () => {
      const status = await this.mesh.status();
      const open = tenants.filter(
        (tenant) =>
          !status.receipts.some(
            (receipt) =>
              receipt.cluster === tenant &&
              receipt.name === `${pack}-${tenant}` &&
              receipt.version === version &&
              receipt.acknowledged,
          ),
      );
      if (open.length > 0)
        return new NotYet(`no acknowledged receipt of ${version} from ${open.join(", ")} ${status.hubError}`.trim());
      return status.readiness.ready ? status : new NotYet(status.readiness.waitingFor.join("; "));
    });
  }

  /** `seamctl pack publish … --to all`. */
  async publish(directory: string, name: string, version: string): Promise<PublishedPack> {
    const store = await openOciLayout(this.mesh.layout.packs);
    return publishPack({ directory, name, version, to: ALL_TENANTS }, store, this.mesh.management);
  }

  delivery(name: string, version: string): Promise<PackDelivery> {
    return this.mesh.management.get(PackDelivery, { namespace: NAMESPACES.seam, name: deliveryName(name, version) });
  }

  /** A Deployment on a tenant, undefined when it is not there. */
  async deployment(tenant: string, namespace: string, name: string): Promise<DeploymentObject | undefined> {
    return ifPresent(this.mesh.tenant(tenant).get(Deployment, { namespace, name }));
  }

  async drift(cluster: string): Promise<readonly DriftSignalView[]> {
    return (await this.#fleetClient().listDrift({ cluster, includeConfirmed: true })).signals;
  }

  explain(cluster: string, name: string): Promise<ExplainItemResponse> {
    return this.#fleetClient().explainItem({ cluster, kind: "", name });
  }

  async retry(cluster: string, name: string): Promise<void> {
    await this.#fleetClient().retryItem({ cluster, kind: "", name });
  }

  canI(
    tenant: string,
    principal: string,
    verb: string,
    resource: string,
    namespace: string,
  ): Promise<CheckPermissionResponse> {
    const at = this.mesh.settings.tenants.find((candidate) => candidate.name === tenant);
    if (at === undefined) throw new Error(`no tenant ${tenant}`);
    const client = createGrpcClient(PermissionService, {
      address: at.permission,
      credentials: this.#credentials(join(this.mesh.layout.tenant(tenant), "operator")),
    });
    this.#clients.push(client);
    return client.checkPermission({ principal, verb, resource, namespace });
  }

  /** Keeps a process down, as `seamctl process hold` does, and waits until it is. */
  async hold(name: string): Promise<void> {
    writeFileSync(this.mesh.layout.hold(name), "");
    await this.until(`${name} down`, async () => {
      const phase = (await this.mesh.status()).processes.find((each) => each.name === name)?.phase ?? "stopped";
      return phase === "held" ? true : new NotYet(phase);
    });
  }

  release(name: string): void {
    renameSync(this.mesh.layout.hold(name), `${this.mesh.layout.hold(name)}.released`);
  }

  /** kill -9, and waits until the supervisor has started it again. */
  async kill9(name: string): Promise<void> {
    const before = (await this.mesh.status()).processes.find((each) => each.name === name)?.restarts ?? 0;
    this.mesh.kill(name, "SIGKILL");
    await this.until(`${name} started again`, async () => {
      const state = (await this.mesh.status()).processes.find((each) => each.name === name);
      return state !== undefined && state.phase === "running" && state.restarts > before
        ? true
        : new NotYet(state?.phase ?? "unknown");
    });
  }

  /** Replaces the signing key by one that no tenant trusts; resolves with the way back. Management must be down. */
  async replaceSigningKey(): Promise<() => void> {
    const { signing, signingKeys } = developmentTrustPaths(this.mesh.layout.root, []);
    const saved = [signing.privateKey, signing.publicKey].map((file) => [file, readFileSync(file)] as const);
    const pair = await generateSigningKeyPair();
    const extra = join(signingKeys, "tour.pem");
    writeFileSync(signing.privateKey, pair.privateKeyPem, { mode: 0o600 });
    writeFileSync(signing.publicKey, pair.publicKeyPem);
    writeFileSync(extra, pair.publicKeyPem);
    return () => {
      for (const [file, content] of saved) writeFileSync(file, content);
      renameSync(extra, join(this.mesh.layout.management, "tour-untrusted.pem"));
    };
  }

  /** Changes one byte of a stored blob; returns the way back. */
  alterBlob(digest: string): () => void {
    const file = join(this.mesh.layout.packs, "blobs", ...digest.split(":"));
    const saved = readFileSync(file);
    const altered = Buffer.from(saved);
    altered[altered.length - 1] = (altered[altered.length - 1] ?? 0) ^ 0xff;
    const replace = (content: Buffer): void => {
      writeFileSync(`${file}.tmp`, content);
      renameSync(`${file}.tmp`, file);
    };
    replace(altered);
    return () => replace(saved);
  }

  #fleetClient(): GrpcClient<typeof FleetService> {
    if (this.#fleet === undefined) {
      this.#fleet = createGrpcClient(FleetService, {
        address: this.mesh.settings.fleet,
        credentials: this.#credentials(this.mesh.layout.operator),
        channel: {
          "grpc.initial_reconnect_backoff_ms": 100,
          "grpc.max_reconnect_backoff_ms": 500,
          "grpc.min_reconnect_backoff_ms": 100,
        },
      });
      this.#clients.push(this.#fleet);
    }
    return this.#fleet;
  }

  #credentials(directory: string) {
    return clientCredentials({
      caPem: readFileSync(join(directory, "ca.crt"), "utf8"),
      certificatePem: readFileSync(join(directory, "tls.crt"), "utf8"),
      privateKeyPem: readFileSync(join(directory, "tls.key"), "utf8"),
    });
  }
}

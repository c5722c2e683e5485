import { generateKeyPairSync } from "node:crypto";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { vi } from "vitest";
import { Namespace, Secret } from "../../src/api/builtin.ts";
import { unknownConditions } from "../../src/api/condition-vocabulary.ts";
import { DriftSignal } from "../../src/api/kinds/drift-signal.ts";
import { PackDelivery } from "../../src/api/kinds/pack-delivery.ts";
import { PackExecution } from "../../src/api/kinds/pack-execution.ts";
import { PackInstalled } from "../../src/api/kinds/pack-installed.ts";
import { PackReceipt, type PackReceiptDelivery } from "../../src/api/kinds/pack-receipt.ts";
import { TalosCluster } from "../../src/api/kinds/talos-cluster.ts";
import { NAMESPACES, SECRET_NAMES, tenantNamespace } from "../../src/api/names.ts";
import type { KubeObject, ObjectKey } from "../../src/api/object.ts";
import type { ResourceType } from "../../src/api/resource-type.ts";
import { type Clock, systemClock } from "../../src/base/clock.ts";
import type { JsonObject } from "../../src/base/json.ts";
import { silentLog } from "../../src/base/log.ts";
import { systemRandom } from "../../src/base/random.ts";
import { isStatus } from "../../src/cluster/api-status-error.ts";
import { type EmbeddedCluster, openEmbeddedCluster } from "../../src/cluster/embedded/embedded-cluster.ts";
import { installCrds } from "../../src/controller/install-crds.ts";
import { startDispatcher } from "../../src/dispatcher/start-dispatcher.ts";
import type { IndexDocument } from "../../src/federation/index/index-document.ts";
import { parseIndex } from "../../src/federation/index/parse-index.ts";
import { startGovernance } from "../../src/governance/start-governance.ts";
import { buildPack } from "../../src/packs/artifact/build-pack.ts";
import { type PackManifest, parsePackManifest } from "../../src/packs/manifest/pack-manifest.ts";
import { openOciLayout } from "../../src/packs/store/oci-layout.ts";
import type { PackBlobStore } from "../../src/packs/store/pack-blob-store.ts";
import { writePack } from "../../src/packs/store/write-pack.ts";
import { decodeEnvelope, ed25519Signer, type SignedEnvelope, type Signer } from "../../src/trust/dsse.ts";
import { KeyRing } from "../../src/trust/keyring/key-ring.ts";

/** A management cluster with governance and dispatcher, real but for the tenant, which the test plays. */
export class PackMesh {
  readonly cluster: EmbeddedCluster;
  readonly store: PackBlobStore;
  readonly directory: string;
  readonly signer: Signer;
  readonly keys: KeyRing;
  #stop = new AbortController();
  #closed: Promise<unknown> = Promise.resolve();
  readonly #clusterStop: AbortController;

  private constructor(
    directory: string,
    cluster: EmbeddedCluster,
    store: PackBlobStore,
    signer: Signer,
    keys: KeyRing,
    clusterStop: AbortController,
  ) {
    this.directory = directory;
    this.cluster = cluster;
    this.store = store;
    this.signer = signer;
    this.keys = keys;
    this.#clusterStop = clusterStop;
  }

  /** Opens a management cluster with `tenants` registered; loops are not started yet. */
  static async open(tenants: readonly string[], clock: Clock = systemClock): Promise<PackMesh> {
    const directory = await mkdtemp(join(tmpdir(), "seam-packs-"));
    const clusterStop = new AbortController();
    const cluster = await openEmbeddedCluster({
      directory: join(directory, "cluster"),
      clock,
      random: systemRandom,
      log: silentLog,
      signal: clusterStop.signal,
    });
    await installCrds(cluster, systemClock);
    const store = await openOciLayout(join(directory, "packs"));
    const { privateKey, publicKey } = generateKeyPairSync("ed25519");
    const mesh = new PackMesh(
      directory,
      cluster,
      store,
      ed25519Signer(privateKey),
      new KeyRing([publicKey]),
      clusterStop,
    );
    await mesh.namespace(NAMESPACES.seam);
    await mesh.namespace(NAMESPACES.ont);
    for (const tenant of tenants) await mesh.register(tenant);
    return mesh;
  }

  async namespace(name: string): Promise<void> {
    try {
      await this.cluster.create(Namespace, { apiVersion: "v1", kind: "Namespace", metadata: { name } });
    } catch (error) {
      if (!isStatus(error, "AlreadyExists")) throw error;
    }
  }

  async register(tenant: string): Promise<void> {
    await this.namespace(tenantNamespace(tenant));
    await this.cluster.create(TalosCluster, {
      apiVersion: "seam.ontai.dev/v1alpha1",
      kind: "TalosCluster",
      metadata: { name: tenant, namespace: tenantNamespace(tenant) },
      spec: { mode: "import", role: "tenant" },
    });
  }

  /** Starts governance and dispatcher; `signer` stands in for another active key. */
  async start(
    options: { readonly clock?: Clock; readonly signer?: Signer; readonly governance?: boolean } = {},
  ): Promise<void> {
    this.#stop = new AbortController();
    const common = {
      cluster: this.cluster,
      keys: this.keys,
      clock: options.clock ?? systemClock,
      random: systemRandom,
      log: silentLog,
      signal: this.#stop.signal,
    };
    const dispatcher = await startDispatcher(common);
    const governance =
      options.governance === false
        ? undefined
        : await startGovernance({
            ...common,
            signer: options.signer ?? this.signer,
            packStore: this.store,
            // Packs are looked at here: an index has nothing else.
            mirrorObjects: false,
          });
    this.#closed = Promise.all([dispatcher.closed, governance?.closed]);
  }

  /** Stops the loops; the cluster stays. */
  async stop(): Promise<void> {
    this.#stop.abort(new Error("test ends"));
    await this.#closed;
  }

  async close(): Promise<void> {
    await this.stop();
    const strangers = await this.#strangeConditions();
    if (strangers.length > 0) throw new Error(`conditions outside the vocabulary: ${strangers.join(", ")}`);
    this.#clusterStop.abort(new Error("test ends"));
    await this.cluster.close();
    await rm(this.directory, { recursive: true, force: true });
  }

  /** Conditions that resources-seam §13 does not know, of everything that is left. */
  async #strangeConditions(): Promise<readonly string[]> {
    const lists = await Promise.all([
      this.cluster.list(PackDelivery),
      this.cluster.list(PackExecution),
      this.cluster.list(PackInstalled),
      this.cluster.list(DriftSignal),
    ]);
    return lists.flatMap(({ items }) =>
      items.flatMap((object: KubeObject) =>
        unknownConditions(object).map((condition) => `${object.kind} ${object.metadata.name} ${condition}`),
      ),
    );
  }

  /** Builds a pack of one ConfigMap and registers it. */
  async publish(
    base: string,
    version: string,
    spec: JsonObject & { readonly targetClusters: readonly string[] },
  ): Promise<PackDelivery> {
    const source = join(this.directory, `${base}-${version}`);
    await mkdir(source, { recursive: true });
    const manifest = {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: base, namespace: "apps" },
      data: { version },
    };
    await writeFile(join(source, "config.yaml"), JSON.stringify(manifest));
    const written = await writePack(this.store, `packs.example.net/${base}`, version, await buildPack(source));
    return this.cluster.create(PackDelivery, {
      apiVersion: "seam.ontai.dev/v1alpha1",
      kind: "PackDelivery",
      metadata: { name: `${base}-${version}`, namespace: NAMESPACES.seam },
      spec: { basePackName: base, version, ...written, ...spec },
    });
  }

  /** Waits until `check` accepts the object. */
  async until<T extends KubeObject>(type: ResourceType<T>, key: ObjectKey, check: (object: T) => boolean): Promise<T> {
    return vi.waitFor(
      async () => {
        const object = await this.cluster.get(type, key);
        if (!check(object)) throw new Error(`not yet: ${JSON.stringify(object, undefined, 1)}`);
        return object;
      },
      { timeout: 10_000, interval: 20 },
    );
  }

  /** Waits until the object is gone. */
  async gone<T extends KubeObject>(type: ResourceType<T>, key: ObjectKey): Promise<void> {
    await vi.waitFor(
      async () => {
        try {
          const object = await this.cluster.get(type, key);
          throw new Error(`still there: ${JSON.stringify(object.metadata)}`);
        } catch (error) {
          if (!isStatus(error, "NotFound")) throw error;
        }
      },
      { timeout: 10_000, interval: 20 },
    );
  }

  /** The tenant's current index. */
  async index(tenant: string): Promise<IndexDocument> {
    const secret = await this.cluster.get(Secret, {
      namespace: tenantNamespace(tenant),
      name: SECRET_NAMES.federationIndex,
    });
    const parsed = parseIndex(envelopeIn(secret).body);
    if (!parsed.ok) throw new Error(`${parsed.field}: ${parsed.expected}`);
    return parsed.document;
  }

  /** Waits until the tenant's index passes `check`. */
  async untilIndex(tenant: string, check: (index: IndexDocument) => boolean): Promise<IndexDocument> {
    return vi.waitFor(
      async () => {
        const index = await this.index(tenant);
        if (!check(index)) throw new Error(`not yet: ${JSON.stringify(index)}`);
        return index;
      },
      { timeout: 10_000, interval: 20 },
    );
  }

  /** The signed manifest of a pack, as the tenant would read it. */
  async manifest(tenant: string, packInstalled: string): Promise<PackManifest> {
    const secret = await this.cluster.get(Secret, {
      namespace: tenantNamespace(tenant),
      name: `seam-pack-signed-${tenant}-${packInstalled}`,
    });
    return parsePackManifest(envelopeIn(secret).body);
  }

  /** Plays the tenant's agent and the hub's mirror: the newest item of the pack is as far as `delivery` says. */
  async report(tenant: string, packInstalled: string, delivery: Omit<PackReceiptDelivery, "digest">): Promise<void> {
    const index = await this.index(tenant);
    const item = index.items.find(({ kind, name }) => kind === "PackInstalled" && name === packInstalled);
    if (item === undefined) throw new Error(`${packInstalled} is not in the index`);
    const manifest = item.deleted === true ? undefined : await this.manifest(tenant, packInstalled);
    const key = { namespace: tenantNamespace(tenant), name: packInstalled };
    const healthy = delivery.level === "Healthy";
    const spec = {
      clusterPackRef: manifest?.clusterPackRef ?? "gone",
      targetClusterRef: tenant,
      packInstanceRef: packInstalled,
      ...(healthy && manifest !== undefined
        ? {
            version: manifest.version,
            serial: manifest.serial,
            manifestDigest: item.digest,
            workloadDigest: manifest.artifact.workloadDigest,
            deployedResources: manifest.deployedResources.map(({ specHash: _specHash, ...ref }) => ref),
          }
        : {}),
    };
    const apply = async (body: JsonObject, subresource?: "status"): Promise<void> => {
      await this.cluster.patch(
        PackReceipt,
        key,
        {
          type: "apply",
          body: { apiVersion: "seam.ontai.dev/v1alpha1", kind: "PackReceipt", metadata: { ...key }, ...body },
        },
        { fieldManager: "test-hub", force: true, ...(subresource === undefined ? {} : { subresource }) },
      );
    };
    const current = await this.cluster.get(PackReceipt, key).catch(() => undefined);
    if (healthy || current === undefined) await apply({ spec: spec as unknown as JsonObject });
    const status = {
      delivery: { ...delivery, digest: item.digest },
      ...(healthy ? { verified: true, acknowledged: true, deliveryState: "Healthy", driftStatus: "InSync" } : {}),
    };
    await apply({ status: status as unknown as JsonObject }, "status");
  }
}

function envelopeIn(secret: { readonly data?: Readonly<Record<string, string>> }): SignedEnvelope {
  const envelope = decodeEnvelope(Buffer.from(secret.data?.["envelope"] ?? "", "base64"));
  if (envelope === undefined) throw new Error("no envelope");
  return envelope;
}

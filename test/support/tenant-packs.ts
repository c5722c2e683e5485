import { RememberingTrail } from "./remembering-trail.ts";
import { generateKeyPairSync } from "node:crypto";
import { join } from "node:path";
import { systemClock } from "../../src/base/clock.ts";
import { digestOf } from "../../src/base/digest.ts";
import { silentLog } from "../../src/base/log.ts";
import { systemRandom } from "../../src/base/random.ts";
import type { IndexItem } from "../../src/federation/index/index-document.ts";
import { CorrectionHandler } from "../../src/federation/spoke/items/pack/correction-handler.ts";
import { HeldPacks } from "../../src/federation/spoke/items/pack/held-packs.ts";
import { PackAttempts } from "../../src/federation/spoke/items/pack/pack-attempts.ts";
import { PackHandler } from "../../src/federation/spoke/items/pack/pack-handler.ts";
import { PackReceipts } from "../../src/federation/spoke/items/pack/pack-receipts.ts";
import type { TenantPackParts } from "../../src/federation/spoke/items/pack/tenant-pack-parts.ts";
import type { FactOutbox, ItemContext, ItemHandler, ItemOutcome } from "../../src/federation/spoke/ports.ts";
import { packSources } from "../../src/packs/artifact/build-pack.ts";
import { type Correction, encodeCorrection } from "../../src/packs/manifest/correction.ts";
import { encodePackManifest, type PackManifest } from "../../src/packs/manifest/pack-manifest.ts";
import { encodeTombstone, type Tombstone } from "../../src/packs/manifest/tombstone.ts";
import { plannedInventory } from "../../src/packs/order/execution-order.ts";
import { openOciLayout } from "../../src/packs/store/oci-layout.ts";
import { writtenPack } from "../../src/packs/store/write-pack.ts";
import {
  ed25519Signer,
  encodeEnvelope,
  PAYLOAD_TYPES,
  type PayloadType,
  type Signer,
  signEnvelope,
} from "../../src/trust/dsse.ts";
import { FloorFile } from "../../src/trust/floors/floor-file.ts";
import type { TestTenantCluster } from "./tenant-cluster.ts";

/** Cluster id of the tenant in these tests. */
export const TENANT = "east";

/** Remembers facts in order. */
export class RecordingFacts implements FactOutbox {
  readonly receipts: Parameters<FactOutbox["packReceipt"]>[0][] = [];
  readonly drifts: Parameters<FactOutbox["drift"]>[0][] = [];
  packReceipt(report: Parameters<FactOutbox["packReceipt"]>[0]): Promise<void> {
    this.receipts.push(report);
    return Promise.resolve();
  }
  drift(report: Parameters<FactOutbox["drift"]>[0]): Promise<void> {
    this.drifts.push(report);
    return Promise.resolve();
  }
  snapshotReceipt(): Promise<void> {
    return Promise.resolve();
  }
  capability(): Promise<void> {
    return Promise.resolve();
  }
  audit(): Promise<void> {
    return Promise.resolve();
  }
}

/** A tenant's pack rooms with a management side that the test plays. */
export class TenantPacksRig {
  readonly parts: TenantPackParts;
  readonly facts = new RecordingFacts();
  /** What the tenant's audit log hears of its packs. */
  readonly trail: RememberingTrail;
  readonly packs: PackHandler;
  readonly corrections: CorrectionHandler;
  readonly #blobs = new Map<string, Uint8Array>();
  readonly #signer: Signer;
  readonly #signal: AbortSignal;

  private constructor(parts: TenantPackParts, signer: Signer, signal: AbortSignal, trail: RememberingTrail) {
    this.trail = trail;
    this.#signal = signal;
    this.parts = { ...parts, facts: this.facts };
    this.#signer = signer;
    this.packs = new PackHandler(this.parts);
    this.corrections = new CorrectionHandler(this.parts, this.packs);
  }

  static async open(tenant: TestTenantCluster): Promise<TenantPacksRig> {
    const { privateKey, publicKey } = generateKeyPairSync("ed25519");
    const signer = ed25519Signer(privateKey);
    const trail = new RememberingTrail();
    const parts: TenantPackParts = {
      clusterId: TENANT,
      cluster: tenant.cluster,
      keys: { key: (id) => (id === signer.keyId ? publicKey : undefined), empty: false },
      floors: await FloorFile.open(join(tenant.directory, "floors.json")),
      facts: new RecordingFacts(),
      held: new HeldPacks(await openOciLayout(join(tenant.directory, "packs"))),
      receipts: new PackReceipts({ cluster: tenant.cluster, clusterId: TENANT, clock: systemClock, trail }),
      attempts: new PackAttempts(),
      clock: systemClock,
      random: systemRandom,
      log: silentLog,
    };
    return new TenantPacksRig(parts, signer, tenant.signal, trail);
  }

  /** The same tenant after a restart: everything from disk. */
  async restarted(tenant: TestTenantCluster): Promise<TenantPacksRig> {
    const parts: TenantPackParts = {
      ...this.parts,
      floors: await FloorFile.open(join(tenant.directory, "floors.json")),
      held: new HeldPacks(await openOciLayout(join(tenant.directory, "packs"))),
      receipts: new PackReceipts({ cluster: tenant.cluster, clusterId: TENANT, clock: systemClock, trail: this.trail }),
      attempts: new PackAttempts(),
    };
    const rig = new TenantPacksRig(parts, this.#signer, this.#signal, this.trail);
    for (const [digest, bytes] of this.#blobs) rig.#blobs.set(digest, bytes);
    return rig;
  }

  /** A signed pack of `yaml` as an item. */
  async pack(
    name: string,
    serial: number,
    yaml: string,
    change: (manifest: PackManifest) => PackManifest = (manifest) => manifest,
    signer: Signer = this.#signer,
  ): Promise<IndexItem> {
    const built = await packSources(name, [{ file: "pack.yaml", text: yaml }]);
    for (const blob of [...built.blobs, ...Object.values(built.manifests)]) this.#blobs.set(blob.digest, blob.bytes);
    const { registryRef, checksum, rbacDigest, clusterScopedDigest, workloadDigest } = writtenPack(
      "packs.local/x",
      built,
    );
    const manifest = change({
      apiVersion: "seam.ontai.dev/v1alpha1",
      kind: "PackInstalled",
      namespace: `seam-tenant-${TENANT}`,
      name,
      uid: `uid-${name}`,
      clusterPackRef: `${name}-v${serial}`,
      clusterPackNamespace: "seam-system",
      version: `v${serial}`,
      targetClusterRef: TENANT,
      serial,
      issuedAt: "2026-01-10T08:00:00Z",
      artifact: {
        registryUrl: registryRef.url,
        rbacDigest,
        ...(clusterScopedDigest === undefined ? {} : { clusterScopedDigest }),
        workloadDigest,
        checksum,
      },
      deployTimeoutSeconds: 20,
      deployedResources: plannedInventory(built.documents).map(
        ({ apiVersion, kind, namespace, name, contentHash = "" }) =>
          namespace === undefined
            ? { apiVersion, kind, name, specHash: contentHash }
            : { apiVersion, kind, namespace, name, specHash: contentHash },
      ),
      lifecyclePolicies: {},
      tombstone: false,
    });
    const refs = [...Object.values(built.manifests), ...built.blobs.slice(1)].map(({ digest, size }) => ({
      digest,
      size,
    }));
    return {
      ...this.#item("PackInstalled", name, serial, PAYLOAD_TYPES.packInstalled, encodePackManifest(manifest), signer),
      refs,
    };
  }

  correction(parts: Pick<Correction, "packInstalled" | "serial" | "attempt"> & Partial<Correction>): IndexItem {
    const body = encodeCorrection({
      _type: "Correction/v1",
      cluster: TENANT,
      correlationId: "c-1",
      signalName: `drift-${parts.packInstalled}`,
      issuedAt: "2026-01-10T08:00:00Z",
      ...parts,
    });
    return this.#item("Correction", parts.packInstalled, parts.attempt, PAYLOAD_TYPES.correction, body, this.#signer);
  }

  tombstone(name: string, serial: number, parts: Partial<Tombstone> = {}): IndexItem {
    const body = encodeTombstone({
      _type: "Tombstone/v1",
      cluster: TENANT,
      kind: "PackInstalled",
      name,
      uid: `uid-${name}`,
      serial,
      lifecyclePolicies: {},
      issuedAt: "2026-01-10T08:00:00Z",
      ...parts,
    });
    return { ...this.#item("PackInstalled", name, serial, PAYLOAD_TYPES.tombstone, body, this.#signer), deleted: true };
  }

  /** Damages a blob that was sent. */
  alter(digest: string): void {
    this.#blobs.set(digest, Buffer.from("altered"));
  }

  context(item: IndexItem, signal: AbortSignal = this.#signal): ItemContext {
    const read = (digest: string): Promise<Uint8Array> => {
      const bytes = this.#blobs.get(digest);
      return bytes === undefined ? Promise.reject(new Error(`not held: ${digest}`)) : Promise.resolve(bytes);
    };
    return {
      cluster: TENANT,
      item,
      body: this.#blobs.get(item.digest) ?? new Uint8Array(),
      blobs: { read },
      signal,
      waitingFor: () => {},
    };
  }

  /** Runs phases in order until one is refused. Returns `healthy`, or the phase and the reason. */
  async deliver(item: IndexItem): Promise<string> {
    const handler: ItemHandler = item.kind === "Correction" ? this.corrections : this.packs;
    for (const phase of item.deleted === true ? (["remove"] as const) : (["verify", "apply", "healthy"] as const)) {
      const outcome: ItemOutcome = await handler[phase](this.context(item));
      if (!outcome.ok) return `${phase} ${outcome.nack.reason}${outcome.nack.retryable ? " (retryable)" : ""}`;
    }
    return item.deleted === true ? "removed" : "healthy";
  }

  #item(
    kind: IndexItem["kind"],
    name: string,
    version: number,
    type: PayloadType,
    body: Uint8Array,
    signer: Signer,
  ): IndexItem {
    const bytes = encodeEnvelope(signEnvelope(type, body, signer));
    const digest = digestOf(bytes);
    this.#blobs.set(digest, bytes);
    return { kind, name, version, digest, size: bytes.length };
  }
}

import type { PackReceiptReport } from "../../../api/gen/conductor/federation/v1alpha1/facts_pb.ts";
import type { ItemReport } from "../../../api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import { PackInstalled } from "../../../api/kinds/pack-installed.ts";
import { PackReceipt, type PackReceiptSpec } from "../../../api/kinds/pack-receipt.ts";
import { ANNOTATIONS, FIELD_MANAGERS, LABELS, labelValue, tenantNamespace } from "../../../api/names.ts";
import type { OwnerReference } from "../../../api/object.ts";
import { apiVersionOf } from "../../../api/resource-type.ts";
import { canonicalJson } from "../../../base/canonical-json.ts";
import { type Clock, rfc3339Seconds } from "../../../base/clock.ts";
import type { JsonObject } from "../../../base/json.ts";
import type { Cluster } from "../../../cluster/cluster.ts";
import { isStatus } from "../../../cluster/api-status-error.ts";
import { ifPresent } from "../../../cluster/if-present.ts";
import { applyStatus } from "../../../controller/status.ts";
import type { Random } from "../../../base/random.ts";
import { FactRefused, type WriteFence } from "../ports.ts";
import { judgeAcknowledgement } from "./acknowledgement.ts";
import { receiptDelivery } from "./item-level-text.ts";
import { receiptConditions, receiptSpec, receiptStatus } from "./receipt-content.ts";
import { retryConflicts } from "./retry-conflicts.ts";
import type { SerialByKey } from "./serial-by-key.ts";
import type { SignedManifests } from "./signed-manifests.ts";
import { storing } from "./storing.ts";

/** Field manager of `status.delivery`, so that reports of levels and of receipts never erase each other. */
const ITEMS_MANAGER = `${FIELD_MANAGERS.hub}-items`;

/** What the mirror writes with. */
export interface PackReceiptMirrorParts {
  readonly cluster: Cluster;
  readonly clock: Clock;
  readonly random: Random;
  readonly signed: SignedManifests;
  readonly serial: SerialByKey;
}

/** Keeps the read-only copy of a tenant's PackReceipts in `seam-tenant-{cluster}`. */
export class PackReceiptMirror {
  readonly #parts: PackReceiptMirrorParts;

  constructor(parts: PackReceiptMirrorParts) {
    this.#parts = parts;
  }

  /** Stores a report; resolves when durable. Nothing is written when nothing changed. @throws FactRefused */
  store(cluster: string, report: PackReceiptReport, fence: WriteFence): Promise<void> {
    return this.#exclusive(cluster, report.receiptName, () =>
      report.removed ? this.#remove(cluster, report.receiptName, fence) : this.#upsert(cluster, report, fence),
    );
  }

  /** Stores how far a pack's item has come. A pack nobody installed any more is left alone. */
  storeLevel(cluster: string, item: ItemReport, fence: WriteFence): Promise<void> {
    return this.#exclusive(cluster, item.name, async () => {
      const held = await this.#read(cluster, item.name);
      await fence.hold();
      const mirror = held ?? (await this.#announce(cluster, item.name));
      if (mirror === undefined) return;
      await applyStatus(
        this.#parts,
        PackReceipt,
        mirror,
        { fields: { delivery: receiptDelivery(item) }, unchanged: true },
        ITEMS_MANAGER,
      );
    });
  }

  #exclusive(cluster: string, name: string, work: () => Promise<void>): Promise<void> {
    return this.#parts.serial.run(`${cluster}/${name}`, () =>
      storing(`PackReceipt ${cluster}/${name}`, () => retryConflicts(this.#parts, work)),
    );
  }

  #read(cluster: string, name: string): Promise<PackReceipt | undefined> {
    return ifPresent(this.#parts.cluster.get(PackReceipt, { namespace: tenantNamespace(cluster), name }));
  }

  async #upsert(cluster: string, report: PackReceiptReport, fence: WriteFence): Promise<void> {
    if (report.receiptName === "" || report.clusterPackRef === "")
      throw new FactRefused("INVALID", "PackReceiptReport: receipt_name and cluster_pack_ref are required");
    const { clock, signed } = this.#parts;
    const held = await this.#read(cluster, report.receiptName);
    const acknowledgement = judgeAcknowledgement(
      await signed.read(cluster, report.receiptName),
      { serial: Number(report.serial), digest: report.manifestDigest },
      held?.status?.acknowledged === true ? acceptedBy(held) : undefined,
    );
    const spec = receiptSpec(cluster, report);
    await fence.hold();
    const mirror = await this.#applySpec(cluster, report.receiptName, held, spec);
    await applyStatus(
      this.#parts,
      PackReceipt,
      mirror,
      {
        fields: receiptStatus(report, acknowledgement, held?.status, rfc3339Seconds(clock.now())),
        conditions: receiptConditions(report),
        unchanged: true,
      },
      FIELD_MANAGERS.hub,
    );
  }

  /** A mirror for a pack that has levels but no receipt yet, so that a delivery that never gets far is seen too. */
  async #announce(cluster: string, name: string): Promise<PackReceipt | undefined> {
    const installed = await ifPresent(
      this.#parts.cluster.get(PackInstalled, { namespace: tenantNamespace(cluster), name }),
    );
    if (installed === undefined) return undefined;
    const spec = { clusterPackRef: installed.spec.clusterPackRef, targetClusterRef: cluster, packInstanceRef: name };
    return this.#applySpec(cluster, name, undefined, spec);
  }

  async #applySpec(
    cluster: string,
    name: string,
    held: PackReceipt | undefined,
    spec: PackReceiptSpec,
  ): Promise<PackReceipt> {
    const owned = (held?.metadata.ownerReferences?.length ?? 0) > 0;
    if (held !== undefined && owned && sameJson(held.spec, spec)) return held;
    const owner = owned ? held?.metadata.ownerReferences : await this.#owner(cluster, name);
    if (held !== undefined && owner === undefined && sameJson(held.spec, spec)) return held;
    return this.#parts.cluster.patch(
      PackReceipt,
      { namespace: tenantNamespace(cluster), name },
      {
        type: "apply",
        body: {
          apiVersion: apiVersionOf(PackReceipt),
          kind: PackReceipt.kind,
          metadata: {
            name,
            namespace: tenantNamespace(cluster),
            ...(held?.metadata.resourceVersion === undefined ? {} : { resourceVersion: held.metadata.resourceVersion }),
            labels: {
              [LABELS.cluster]: cluster,
              [LABELS.mirroredFrom]: cluster,
              [LABELS.pack]: labelValue(spec.clusterPackRef),
            },
            annotations: { [ANNOTATIONS.mirroredAt]: rfc3339Seconds(this.#parts.clock.now()) },
            ...(owner === undefined ? {} : { ownerReferences: owner.map(json) }),
          },
          spec: json(spec),
        },
      },
      { fieldManager: FIELD_MANAGERS.hub, force: true },
    );
  }

  async #owner(cluster: string, name: string): Promise<readonly OwnerReference[] | undefined> {
    const installed = await ifPresent(
      this.#parts.cluster.get(PackInstalled, { namespace: tenantNamespace(cluster), name }),
    );
    const uid = installed?.metadata.uid;
    if (uid === undefined) return undefined;
    return [{ apiVersion: apiVersionOf(PackInstalled), kind: PackInstalled.kind, name, uid, controller: true }];
  }

  async #remove(cluster: string, name: string, fence: WriteFence): Promise<void> {
    const held = await this.#read(cluster, name);
    if (held === undefined) return;
    await fence.hold();
    const { resourceVersion } = held.metadata;
    try {
      await this.#parts.cluster.delete(
        PackReceipt,
        { namespace: tenantNamespace(cluster), name },
        resourceVersion === undefined ? {} : { preconditions: { resourceVersion } },
      );
    } catch (error) {
      if (!isStatus(error, "NotFound")) throw error;
    }
  }
}

function acceptedBy(mirror: PackReceipt): { readonly serial: number; readonly digest: string } {
  return { serial: mirror.spec.serial ?? 0, digest: mirror.spec.manifestDigest ?? "" };
}

function sameJson(a: object, b: object): boolean {
  return canonicalJson(json(a)) === canonicalJson(json(b));
}

/** The value as the API server stores it: undefined members gone. */
function json(value: object): JsonObject {
  return JSON.parse(JSON.stringify(value)) as JsonObject;
}

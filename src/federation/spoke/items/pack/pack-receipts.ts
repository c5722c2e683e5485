import type { AuditTrail } from "../../../../api/audit-record.ts";
import { Namespace } from "../../../../api/builtin.ts";
import type { ConditionUpdate } from "../../../../api/conditions.ts";
import type { DeployedResourceRef } from "../../../../api/kinds/deployed-resource-ref.ts";
import { PackReceipt, type PackReceiptSpec, type PackReceiptStatus } from "../../../../api/kinds/pack-receipt.ts";
import { FIELD_MANAGERS, NAMESPACES, signedPackSecretName } from "../../../../api/names.ts";
import { canonicalJson } from "../../../../base/canonical-json.ts";
import type { Clock } from "../../../../base/clock.ts";
import { type JsonObject, isJsonObject } from "../../../../base/json.ts";
import { isStatus } from "../../../../cluster/api-status-error.ts";
import type { Cluster } from "../../../../cluster/cluster.ts";
import { ifPresent } from "../../../../cluster/if-present.ts";
import { applyStatus } from "../../../../controller/status.ts";
import type { PackManifest } from "../../../../packs/manifest/pack-manifest.ts";
import type { EndedCorrection } from "./pack-attempts.ts";
import { receiptRecords } from "./receipt-trail.ts";

const LAST_CORRECTION = "seam.ontai.dev/last-correction";

/** What changes in a receipt's status; everything else stays. An undefined field is removed. */
export interface ReceiptChange {
  readonly fields?: { readonly [K in keyof Omit<PackReceiptStatus, "conditions">]?: PackReceiptStatus[K] | undefined };
  readonly conditions?: readonly ConditionUpdate[];
}

/**
 * The tenant's PackReceipts (conductor §7.3): spec by the apply engine's manager, status by the agent's. Changes of one receipt
 * are serialised, because its status has two writers here: the item handler and the drift detector. Nothing is sent when nothing
 * changes.
 */
export class PackReceipts {
  readonly #cluster: Cluster;
  readonly #clusterId: string;
  readonly #clock: Clock;
  readonly #trail: AuditTrail;
  readonly #tails = new Map<string, Promise<unknown>>();

  constructor(parts: {
    readonly cluster: Cluster;
    readonly clusterId: string;
    readonly clock: Clock;
    /** The cluster's audit log. */
    readonly trail: AuditTrail;
  }) {
    this.#cluster = parts.cluster;
    this.#clusterId = parts.clusterId;
    this.#clock = parts.clock;
    this.#trail = parts.trail;
  }

  async get(name: string): Promise<PackReceipt | undefined> {
    return ifPresent(this.#cluster.get(PackReceipt, { namespace: NAMESPACES.ont, name }));
  }

  /** Writes the whole spec. */
  writeSpec(name: string, spec: PackReceiptSpec): Promise<PackReceipt> {
    return this.#serially(name, async () => {
      const current = await this.get(name);
      if (current !== undefined && sameSpec(current.spec, spec)) return current;
      const apply = (): Promise<PackReceipt> =>
        this.#cluster.patch(
          PackReceipt,
          { namespace: NAMESPACES.ont, name },
          {
            type: "apply",
            body: {
              apiVersion: "seam.ontai.dev/v1alpha1",
              kind: "PackReceipt",
              metadata: { name, namespace: NAMESPACES.ont },
              spec: plain(spec),
            },
          },
          { fieldManager: FIELD_MANAGERS.packDeploy, force: true },
        );
      try {
        return await apply();
      } catch (error) {
        if (!isStatus(error, "NotFound")) throw error;
        await this.#createNamespace();
        return apply();
      }
    });
  }

  /** Records an inventory in an existing receipt's spec. */
  async recordInventory(name: string, spec: PackReceiptSpec, inventory: readonly DeployedResourceRef[]): Promise<void> {
    await this.writeSpec(name, { ...spec, deployedResources: inventory });
  }

  /** Changes the status. Resolves with the receipt, and whether anything was written; undefined when there is no such receipt. */
  changeStatus(
    name: string,
    change: ReceiptChange,
  ): Promise<{ readonly receipt: PackReceipt; readonly changed: boolean } | undefined> {
    return this.#serially(name, async () => {
      const current = await this.get(name);
      if (current === undefined) return undefined;
      const { conditions: existing, ...status } = current.status ?? {};
      const updates = change.conditions ?? [];
      const types = new Set(updates.map((condition) => condition.type));
      const receipt = await applyStatus(
        { cluster: this.#cluster, clock: this.#clock },
        PackReceipt,
        current,
        {
          fields: {
            ...status,
            ...change.fields,
            ...(current.metadata.generation === undefined ? {} : { observedGeneration: current.metadata.generation }),
          },
          conditions: [...(existing ?? []).filter((condition) => !types.has(condition.type)), ...updates],
        },
        FIELD_MANAGERS.agent,
      );
      for (const record of receiptRecords(current, receipt)) await this.#trail.record(record);
      return { receipt, changed: receipt.metadata.resourceVersion !== current.metadata.resourceVersion };
    });
  }

  /** Remembers the correction that ended last, beside the receipt. Durable when it resolves. */
  recordCorrection(name: string, ended: EndedCorrection): Promise<void> {
    return this.#serially(name, async () => {
      await this.#cluster.patch(
        PackReceipt,
        { namespace: NAMESPACES.ont, name },
        { type: "merge", body: { metadata: { annotations: { [LAST_CORRECTION]: JSON.stringify(ended) } } } },
        { fieldManager: FIELD_MANAGERS.agent },
      );
    });
  }

  /** Deletes a receipt; one that is gone is fine. */
  delete(name: string): Promise<void> {
    return this.#serially(name, async () => {
      try {
        await this.#cluster.delete(PackReceipt, { namespace: NAMESPACES.ont, name });
      } catch (error) {
        if (!isStatus(error, "NotFound")) throw error;
      }
    });
  }

  /** Spec of the receipt of an accepted manifest. */
  specOf(manifest: PackManifest, manifestDigest: string, inventory: readonly DeployedResourceRef[]): PackReceiptSpec {
    const { artifact, chart } = manifest;
    return {
      clusterPackRef: manifest.clusterPackRef,
      targetClusterRef: manifest.targetClusterRef,
      packInstanceRef: manifest.name,
      signatureRef: signedPackSecretName(this.#clusterId, manifest.name),
      version: manifest.version,
      serial: manifest.serial,
      manifestDigest,
      rbacDigest: artifact.rbacDigest,
      workloadDigest: artifact.workloadDigest,
      ...(artifact.clusterScopedDigest === undefined ? {} : { clusterScopedDigest: artifact.clusterScopedDigest }),
      checksum: artifact.checksum,
      ...(chart === undefined ? {} : { chartName: chart.name }),
      ...(chart?.url === undefined ? {} : { chartURL: chart.url }),
      ...(chart?.version === undefined ? {} : { chartVersion: chart.version }),
      ...(chart?.helmVersion === undefined ? {} : { helmVersion: chart.helmVersion }),
      deployedResources: inventory,
    };
  }

  async #createNamespace(): Promise<void> {
    try {
      await this.#cluster.create(
        Namespace,
        { apiVersion: "v1", kind: "Namespace", metadata: { name: NAMESPACES.ont } },
        { fieldManager: FIELD_MANAGERS.agent },
      );
    } catch (error) {
      if (!isStatus(error, "AlreadyExists")) throw error;
    }
  }

  #serially<T>(name: string, body: () => Promise<T>): Promise<T> {
    const run = (this.#tails.get(name) ?? Promise.resolve()).then(body, body);
    const tail = run.catch(() => {
      // the caller hears of it; the next change of this receipt does not depend on it
    });
    this.#tails.set(name, tail);
    void tail.then(() => {
      if (this.#tails.get(name) === tail) this.#tails.delete(name);
    });
    return run;
  }
}

/** The correction that ended last for a receipt's pack. */
export function lastCorrection(receipt: PackReceipt): EndedCorrection | undefined {
  const text = receipt.metadata.annotations?.[LAST_CORRECTION];
  if (text === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    if (!isJsonObject(value)) return undefined;
    const { id, applied, error } = value;
    return typeof id === "string" && typeof applied === "boolean" && typeof error === "string"
      ? { id, applied, error }
      : undefined;
  } catch {
    return undefined; // somebody wrote something else there: as good as nothing
  }
}

function plain(value: object): JsonObject {
  return JSON.parse(JSON.stringify(value)) as JsonObject;
}

function sameSpec(a: PackReceiptSpec, b: PackReceiptSpec): boolean {
  return canonicalJson(plain(a)) === canonicalJson(plain(b));
}

import { findCondition, isTrue } from "../../api/conditions.ts";
import type { PackDelivery } from "../../api/kinds/pack-delivery.ts";
import type { PackInstalled } from "../../api/kinds/pack-installed.ts";
import { CONTROLS, NAMESPACES, clusterOfNamespace, tenantNamespace } from "../../api/names.ts";
import type { ObjectKey } from "../../api/object.ts";
import { revocationBound } from "../../federation/hub/revocations/revocation-bound.ts";
import type { RevocationOrder } from "../../federation/hub/revocations/revocation-record.ts";
import type { GovernanceContext } from "../governance-context.ts";
import { type RevocationFloors } from "../index/index-builder.ts";
import { readStoredIndex } from "../index/index-store.ts";

/** Where revocations go, and which stand. */
export interface RevocationOrders extends RevocationFloors {
  /** Durable when it resolves; idempotent by the order's id and name. */
  add(cluster: string, order: RevocationOrder): Promise<unknown>;
}

/**
 * A PackDelivery that is revoked, whoever said so, is withdrawn from every cluster that has a signed manifest of it. One loop,
 * keyed by PackInstalled; what an operator ordered through RevocationService has its floor already and is not ordered twice.
 */
export class RevokedDeliveries {
  readonly #context: GovernanceContext;
  readonly #orders: RevocationOrders;

  constructor(context: GovernanceContext, orders: RevocationOrders) {
    this.#context = context;
    this.#orders = orders;
  }

  readonly reconcile = async (key: ObjectKey): Promise<void> => {
    const { caches, cluster, keys, clock, log, assertFenced } = this.#context;
    const tenant = clusterOfNamespace(key.namespace);
    const installed = caches.installed.get(key);
    if (tenant === undefined || installed === undefined) return;
    const delivery = this.#deliveryOf(installed);
    const serial = installed.status?.serial ?? 0;
    if (delivery === undefined || serial === 0 || !isTrue(delivery.status?.conditions, "Revoked")) return;
    const { name } = installed.metadata;
    const standing = this.#orders
      .floors(tenant)
      .find((floor) => floor.target === "PackInstalled" && floor.name === name);
    if ((standing?.floor ?? 0) > serial) return;
    const { document } = await readStoredIndex(cluster, tenant, keys);
    assertFenced();
    await this.#orders.add(tenant, {
      revocationId: `packdelivery-${delivery.metadata.uid ?? delivery.metadata.name}`,
      target: "PackInstalled",
      name,
      namespace: tenantNamespace(tenant),
      reason: reasonOf(delivery),
      floor: serial + 1,
      orderedBy: "packdelivery",
      orderedName: delivery.metadata.name,
      boundedAtMs: revocationBound("PackInstalled", {
        indexExpiresAt: document?.expiresAt,
        maxOfflineMs: 0,
        nowMs: clock.now(),
      }),
    });
    log.warn({ cluster: tenant, pack: name, serial, delivery: delivery.metadata.name }, "revoked delivery withdrawn");
  };

  #deliveryOf({ spec }: PackInstalled): PackDelivery | undefined {
    return this.#context.caches.deliveries.get({
      namespace: spec.clusterPackNamespace ?? NAMESPACES.seam,
      name: spec.clusterPackRef,
    });
  }
}

function reasonOf({ metadata, status }: PackDelivery): string {
  const said = metadata.annotations?.[CONTROLS.revoke] ?? "";
  if (said !== "" && said !== "true") return said;
  return findCondition(status?.conditions, "Revoked")?.message ?? `PackDelivery ${metadata.name} is revoked`;
}

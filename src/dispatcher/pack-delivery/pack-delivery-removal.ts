import { DriftSignal } from "../../api/kinds/drift-signal.ts";
import { PackDelivery } from "../../api/kinds/pack-delivery.ts";
import { PackExecution } from "../../api/kinds/pack-execution.ts";
import { PackInstalled } from "../../api/kinds/pack-installed.ts";
import {
  FIELD_MANAGERS,
  FINALIZERS,
  basePackOf,
  packDriftSignalName,
  packInstalledName,
  tenantNamespace,
} from "../../api/names.ts";
import { type KubeObject, keyOf } from "../../api/object.ts";
import type { ResourceType } from "../../api/resource-type.ts";
import { ifPresent } from "../../cluster/if-present.ts";
import type { Result } from "../../controller/controller.ts";
import { applyStatus } from "../../controller/status.ts";
import { BY_DELIVERY, type DispatcherContext } from "../dispatcher-context.ts";
import { belongsTo } from "./plan-targets.ts";

/** How soon a removal that waits is looked at again; watches wake it sooner. */
const WAITING_MS = 10_000;

/**
 * Removes a PackDelivery (dispatcher §4.4): what it installed first, whose own finalizer waits for the tenant; then its executions and
 * drift signals; then its finalizer. Only what belongs to this very object, by uid, is touched.
 */
export async function removePackDelivery(context: DispatcherContext, delivery: PackDelivery): Promise<Result | void> {
  if (delivery.metadata.finalizers?.includes(FINALIZERS.packDelivery) !== true) return;
  const key = `${delivery.metadata.namespace ?? ""}/${delivery.metadata.name}`;
  const installed = context.caches.installed.byIndex(BY_DELIVERY, key).filter((object) => belongsTo(object, delivery));
  for (const object of installed)
    if (object.metadata.deletionTimestamp === undefined) await remove(context, PackInstalled, object);
  if (installed.length > 0) {
    await sayDeleting(context, delivery, installed);
    return { requeueAfterMs: WAITING_MS };
  }
  for (const execution of context.caches.executions.byIndex(BY_DELIVERY, key)) {
    const { uid } = execution.spec.clusterPackRef;
    if (uid === undefined || uid === delivery.metadata.uid) await remove(context, PackExecution, execution);
  }
  for (const signal of signalsOf(context, delivery)) await remove(context, DriftSignal, signal);
  context.assertFenced();
  const { resourceVersion, finalizers } = delivery.metadata;
  await ifPresent(
    context.cluster.patch(
      PackDelivery,
      keyOf(delivery),
      {
        type: "merge",
        body: {
          metadata: {
            resourceVersion,
            finalizers: (finalizers ?? []).filter((name) => name !== FINALIZERS.packDelivery),
          },
        },
      },
      { fieldManager: FIELD_MANAGERS.dispatcher },
    ),
  );
}

/** Signals of packs this object installed, unless a successor has taken the pack over. */
function signalsOf(context: DispatcherContext, delivery: PackDelivery): readonly DriftSignal[] {
  return (delivery.status?.targets ?? []).flatMap(({ cluster }) => {
    const namespace = tenantNamespace(cluster);
    const name = packInstalledName(basePackOf(delivery), cluster);
    if (context.caches.installed.get({ namespace, name }) !== undefined) return [];
    const signal = context.caches.signals.get({ namespace, name: packDriftSignalName(name) });
    return signal === undefined ? [] : [signal];
  });
}

async function sayDeleting(
  context: DispatcherContext,
  delivery: PackDelivery,
  remaining: readonly PackInstalled[],
): Promise<void> {
  const names = remaining.map(({ metadata }) => metadata.name).sort();
  await applyStatus(
    context,
    PackDelivery,
    delivery,
    {
      conditions: [
        {
          type: "Deleting",
          status: "True",
          reason: "WaitingForWorkloadCleanup",
          message: `waits for ${names.length}: ${names.slice(0, 10).join(", ")}`,
        },
      ],
    },
    `${FIELD_MANAGERS.dispatcher}-removal`,
  );
}

async function remove<T extends KubeObject>(
  context: DispatcherContext,
  type: ResourceType<T>,
  object: T,
): Promise<void> {
  context.assertFenced();
  const { uid } = object.metadata;
  await ifPresent(context.cluster.delete(type, keyOf(object), uid === undefined ? {} : { preconditions: { uid } }));
}

import type { Condition } from "../../../api/kinds/condition.ts";
import type { DriftSignal } from "../../../api/kinds/drift-signal.ts";
import { PackDelivery } from "../../../api/kinds/pack-delivery.ts";
import { PackInstalled } from "../../../api/kinds/pack-installed.ts";
import { CONTROLS, FIELD_MANAGERS } from "../../../api/names.ts";
import type { KubeObject, ObjectKey } from "../../../api/object.ts";
import type { ResourceType } from "../../../api/resource-type.ts";
import type { Clock } from "../../../base/clock.ts";
import type { Cluster } from "../../../cluster/cluster.ts";
import { ifPresent } from "../../../cluster/if-present.ts";
import { applyStatus } from "../../../controller/status.ts";
import type { DriftState } from "./next-drift-state.ts";
import { stateOf, terminalCondition } from "./signal-object.ts";

/** Field manager of the conditions that follow from drift: one writer per condition. */
export const DRIFT_MANAGER = `${FIELD_MANAGERS.hub}-drift`;

/** What the conditions are written with. */
export interface DriftWriter {
  readonly cluster: Cluster;
  readonly clock: Clock;
}

/**
 * Says on the PackInstalled and the affected object whether corrections were given up. One delivery has many tenants: it is terminal
 * while any of them is.
 *
 * @param signals every known signal
 */
export async function sayTerminal(
  writer: DriftWriter,
  signal: DriftSignal,
  state: DriftState,
  signals: readonly DriftSignal[],
): Promise<void> {
  const { packInstanceRef, affectedCRRef } = signal.spec;
  const { namespace } = signal.metadata;
  const terminal = state.book.terminal === true;
  const failed = state.escalationCounter;
  if (packInstanceRef !== undefined && namespace !== undefined)
    await sayOn(writer, PackInstalled, { namespace, name: packInstanceRef }, terminal, failed);
  if (affectedCRRef.kind !== "PackDelivery" || affectedCRRef.namespace === undefined) return;
  const elsewhere = signals.some(
    (other) =>
      other.metadata.uid !== signal.metadata.uid &&
      other.spec.affectedCRRef.name === affectedCRRef.name &&
      other.spec.affectedCRRef.namespace === affectedCRRef.namespace &&
      stateOf(other).book.terminal === true,
  );
  const delivery = { namespace: affectedCRRef.namespace, name: affectedCRRef.name };
  await sayOn(writer, PackDelivery, delivery, terminal || elsewhere, failed);
}

/** The value of the redeploy annotation on the affected delivery; empty when there is none. */
export async function redeployValue(cluster: Cluster, signal: DriftSignal): Promise<string> {
  const { kind, namespace, name } = signal.spec.affectedCRRef;
  if (kind !== "PackDelivery" || namespace === undefined) return "";
  const delivery = await ifPresent(cluster.get(PackDelivery, { namespace, name }));
  return delivery?.metadata.annotations?.[CONTROLS.redeploy] ?? "";
}

async function sayOn<T extends KubeObject & { readonly status?: { readonly conditions?: readonly Condition[] } }>(
  writer: DriftWriter,
  type: ResourceType<T>,
  key: ObjectKey,
  terminal: boolean,
  failed: number,
): Promise<void> {
  const object = await ifPresent(writer.cluster.get(type, key));
  if (object === undefined) return;
  await applyStatus(writer, type, object, { conditions: [terminalCondition(terminal, failed)] }, DRIFT_MANAGER);
}

import { rfc3339Seconds } from "../../base/clock.ts";
import { digestOf } from "../../base/digest.ts";
import { ConfigMap } from "../../api/builtin.ts";
import { PackInstalled } from "../../api/kinds/pack-installed.ts";
import {
  CONTROLS,
  FIELD_MANAGERS,
  FINALIZERS,
  LABELS,
  labelValue,
  tombstoneRequestName,
  tombstoneSecretName,
} from "../../api/names.ts";
import { keyOf } from "../../api/object.ts";
import { tombstoneRequestConfigMap } from "../../api/tombstone-request.ts";
import { isStatus } from "../../cluster/api-status-error.ts";
import type { Result } from "../../controller/controller.ts";
import { applyStatus } from "../../controller/status.ts";
import { type DispatcherContext, talosClusterOf } from "../dispatcher-context.ts";

/** How soon a removal that waits is looked at again; watches wake it sooner. */
const WAITING_MS = 10_000;

/**
 * Removes an installed pack in pull mode: asks for a signed tombstone, waits until the tenant has carried it out, and lets the object
 * go. Where nobody is there to carry it out, the workloads are left as they are (dispatcher §6.4 step 1).
 */
export async function removeInstalled(context: DispatcherContext, installed: PackInstalled): Promise<Result | void> {
  if (installed.metadata.finalizers?.includes(FINALIZERS.packInstalled) !== true) return;
  const mode = removalMode(context, installed);
  if (mode === "gone") {
    context.events.record(installed, "Normal", "WorkloadOrphaned", "the target cluster is gone or leaves unmanaged");
    await release(context, installed);
    return;
  }
  await requestTombstone(context, installed, mode === "orphan");
  if (isCarriedOut(context, installed)) {
    await release(context, installed);
    return;
  }
  await applyStatus(
    context,
    PackInstalled,
    installed,
    {
      fields: { cleanup: { startedAt: installed.metadata.deletionTimestamp ?? rfc3339Seconds(context.clock.now()) } },
      conditions: [
        { type: "Ready", status: "False", reason: "Terminating" },
        {
          type: "CleanupBlocked",
          status: "True",
          reason: "DelegatedToAgent",
          message: "waits for the tenant's agent to remove the pack",
        },
      ],
    },
    FIELD_MANAGERS.dispatcher,
  );
  return { requeueAfterMs: WAITING_MS };
}

function removalMode(context: DispatcherContext, installed: PackInstalled): "gone" | "orphan" | "delete" {
  const { caches } = context;
  const talos = talosClusterOf(caches, installed.spec.targetClusterRef);
  if (talos === undefined || talos.metadata.deletionTimestamp !== undefined) return "gone";
  const delivery = caches.deliveries.get({
    namespace: installed.spec.clusterPackNamespace ?? "",
    name: installed.spec.clusterPackRef,
  });
  const orphan =
    delivery?.spec.lifecyclePolicies?.deletionPolicy === "Orphan" ||
    delivery?.metadata.annotations?.[CONTROLS.forceDelete] === "true";
  return orphan ? "orphan" : "delete";
}

async function requestTombstone(context: DispatcherContext, installed: PackInstalled, orphan: boolean): Promise<void> {
  const { name, uid, namespace } = installed.metadata;
  const request = tombstoneRequestConfigMap(
    namespace ?? "",
    {
      name,
      uid: uid ?? "",
      pack: installed.spec.clusterPackRef,
      version: installed.spec.version,
      orphan,
    },
    { [LABELS.cluster]: installed.spec.targetClusterRef, [LABELS.packInstalled]: labelValue(name) },
  );
  const key = { namespace: namespace ?? "", name: tombstoneRequestName(name) };
  try {
    const existing = await context.cluster.get(ConfigMap, key);
    if (existing.data?.["uid"] === uid && existing.data?.["orphan"] === String(orphan)) return;
    context.assertFenced();
    await context.cluster.update(
      ConfigMap,
      { ...existing, ...request, metadata: { ...existing.metadata, ...request.metadata } },
      { fieldManager: FIELD_MANAGERS.dispatcher },
    );
  } catch (error) {
    if (!isStatus(error, "NotFound")) throw error;
    context.assertFenced();
    await context.cluster.create(ConfigMap, request, { fieldManager: FIELD_MANAGERS.dispatcher });
  }
}

/**
 * True when the tombstone of this very object is signed and the tenant is done with it: its receipt is gone, or its report names the
 * tombstone as applied. A tenant that never reported the pack holds nothing; the tombstone stays in its index all the same.
 */
function isCarriedOut(context: DispatcherContext, installed: PackInstalled): boolean {
  const { name, namespace, uid } = installed.metadata;
  const secret = context.caches.secrets.get({ namespace: namespace ?? "", name: tombstoneSecretName(name) });
  const envelope = secret?.data?.["envelope"];
  const artifact = secret?.data?.["artifact"];
  if (envelope === undefined || artifact === undefined) return false;
  if (!Buffer.from(artifact, "base64").toString().includes(JSON.stringify(uid))) return false;
  const receipt = context.caches.receipts.get({ namespace: namespace ?? "", name });
  if (receipt === undefined) return true;
  const { digest, level } = receipt.status?.delivery ?? {};
  return digest === digestOf(Buffer.from(envelope, "base64")) && (level === "Applied" || level === "Healthy");
}

async function release(context: DispatcherContext, installed: PackInstalled): Promise<void> {
  context.assertFenced();
  const { finalizers, resourceVersion } = installed.metadata;
  try {
    // Conditional: others place finalizers of their own here, and none of them may be lost.
    await context.cluster.patch(
      PackInstalled,
      keyOf(installed),
      {
        type: "merge",
        body: {
          metadata: {
            resourceVersion,
            finalizers: (finalizers ?? []).filter((entry) => entry !== FINALIZERS.packInstalled),
          },
        },
      },
      { fieldManager: FIELD_MANAGERS.dispatcher },
    );
  } catch (error) {
    if (!isStatus(error, "NotFound")) throw error;
  }
}

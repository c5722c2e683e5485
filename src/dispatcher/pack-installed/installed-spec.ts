import type { PackDelivery } from "../../api/kinds/pack-delivery.ts";
import type { PackExecution } from "../../api/kinds/pack-execution.ts";
import { PackInstalled, type PackInstalledSpec } from "../../api/kinds/pack-installed.ts";
import { FIELD_MANAGERS, FINALIZERS, basePackOf, packInstalledName } from "../../api/names.ts";
import type { JsonObject } from "../../base/json.ts";
import { canonicalJson } from "../../base/canonical-json.ts";
import type { DispatcherContext } from "../dispatcher-context.ts";
import { defined, packLabels } from "../pack-execution/artifact-seal.ts";

/** What a PackInstalled says while `execution` delivers (dispatcher §5.7). */
export function installedSpec(delivery: PackDelivery, execution: PackExecution): PackInstalledSpec {
  const { spec } = delivery;
  const { chartName, chartURL, chartVersion, helmVersion } = spec;
  const seal = execution.spec.artifact ?? execution.status?.artifact;
  return {
    clusterPackRef: delivery.metadata.name,
    clusterPackNamespace: delivery.metadata.namespace ?? "",
    packExecutionRef: execution.metadata.name,
    version: execution.spec.clusterPackRef.version,
    targetClusterRef: execution.spec.targetClusterRef,
    ...(delivery.metadata.uid === undefined ? {} : { packDeliveryUID: delivery.metadata.uid }),
    ...defined({
      dependsOn: spec.dependsOn,
      dependencyPolicy: spec.dependencyPolicy,
      rbacDigest: seal?.rbacDigest,
      clusterScopedDigest: seal?.clusterScopedDigest,
      workloadDigest: seal?.workloadDigest,
      checksum: seal?.checksum,
      chartName,
      chartURL,
      chartVersion,
      helmVersion,
    }),
  };
}

/**
 * Creates or takes over the PackInstalled of a base pack. It has its finalizer from creation and no owner (dispatcher §5.7): its life
 * is the PackDelivery's affair alone. Undefined while a predecessor is still being removed.
 */
export async function upsertInstalled(
  context: DispatcherContext,
  delivery: PackDelivery,
  execution: PackExecution,
): Promise<PackInstalled | undefined> {
  const cluster = execution.spec.targetClusterRef;
  const namespace = execution.metadata.namespace ?? "";
  const name = packInstalledName(basePackOf(delivery), cluster);
  const spec = installedSpec(delivery, execution);
  const labels = packLabels(delivery, cluster);
  const existing = context.caches.installed.get({ namespace, name });
  const options = { fieldManager: FIELD_MANAGERS.dispatcher };
  if (existing === undefined) {
    context.assertFenced();
    return context.cluster.create(
      PackInstalled,
      {
        apiVersion: "seam.ontai.dev/v1alpha1",
        kind: "PackInstalled",
        metadata: { namespace, name, labels, finalizers: [FINALIZERS.packInstalled] },
        spec,
      },
      options,
    );
  }
  if (existing.metadata.deletionTimestamp !== undefined) return undefined;
  if (canonicalJson(json(existing.spec)) === canonicalJson(json(spec))) return existing;
  context.assertFenced();
  return context.cluster.update(
    PackInstalled,
    { ...existing, metadata: { ...existing.metadata, labels: { ...existing.metadata.labels, ...labels } }, spec },
    options,
  );
}

function json(value: object): JsonObject {
  return JSON.parse(JSON.stringify(value)) as JsonObject;
}

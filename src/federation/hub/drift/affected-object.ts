import type { DriftReport } from "../../../api/gen/conductor/federation/v1alpha1/facts_pb.ts";
import type { DriftSignalSpec } from "../../../api/kinds/drift-signal.ts";
import { PackInstalled } from "../../../api/kinds/pack-installed.ts";
import { packDriftSignalName, tenantNamespace } from "../../../api/names.ts";
import type { Cluster } from "../../../cluster/cluster.ts";
import { ifPresent } from "../../../cluster/if-present.ts";
import { FactRefused } from "../ports.ts";

/**
 * Whose drift a report is about. A tenant names only what is its own: the pack's delivery is read from the PackInstalled in its namespace.
 *
 * @throws FactRefused when it names anything else
 */
export async function affectedObject(
  cluster: Cluster,
  clusterId: string,
  report: DriftReport,
): Promise<DriftSignalSpec["affectedCRRef"]> {
  return report.affectedKind === "PackDelivery"
    ? affectedDelivery(cluster, clusterId, report)
    : affectedObjectOfCluster(clusterId, report);
}

async function affectedDelivery(
  cluster: Cluster,
  clusterId: string,
  { signalName, packInstanceRef }: DriftReport,
): Promise<DriftSignalSpec["affectedCRRef"]> {
  if (signalName !== packDriftSignalName(packInstanceRef))
    throw new FactRefused("DriftReportInvalid", `signal ${signalName} does not belong to pack ${packInstanceRef}`);
  const namespace = tenantNamespace(clusterId);
  const installed = await ifPresent(cluster.get(PackInstalled, { namespace, name: packInstanceRef }));
  if (installed === undefined)
    throw new FactRefused("UnknownPack", `PackInstalled ${packInstanceRef} does not exist for cluster ${clusterId}`);
  const { clusterPackRef, clusterPackNamespace } = installed.spec;
  return {
    group: "seam.ontai.dev",
    kind: "PackDelivery",
    namespace: clusterPackNamespace ?? namespace,
    name: clusterPackRef,
  };
}

function affectedObjectOfCluster(clusterId: string, report: DriftReport): DriftSignalSpec["affectedCRRef"] {
  const { affectedKind, affectedGroup, affectedNamespace, signalName } = report;
  if ((affectedKind !== "TalosCluster" && affectedKind !== "RunnerConfig") || report.affectedName !== clusterId)
    throw new FactRefused(
      "DriftReportInvalid",
      `${affectedKind} ${report.affectedName} is not governed for cluster ${clusterId}`,
    );
  if (!/^drift-(version|k8s-version|runnerconfig)-/.test(signalName) || !signalName.endsWith(`-${clusterId}`))
    throw new FactRefused("DriftReportInvalid", `signal ${signalName} is no signal of cluster ${clusterId}`);
  return {
    group: affectedGroup,
    kind: affectedKind,
    name: clusterId,
    ...(affectedNamespace === "" ? {} : { namespace: affectedNamespace }),
  };
}

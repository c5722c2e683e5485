import { create } from "@bufbuild/protobuf";
import {
  type RunnerConfigValidationRequest,
  type RunnerConfigValidationResponse,
  RunnerConfigValidationResponseSchema,
  ViolationSchema,
} from "../../../api/gen/conductor/federation/v1alpha1/commands_pb.ts";
import { PackDelivery } from "../../../api/kinds/pack-delivery.ts";
import { RunnerConfig } from "../../../api/kinds/runner-config.ts";
import { TalosCluster } from "../../../api/kinds/talos-cluster.ts";
import { NAMESPACES, tenantNamespace } from "../../../api/names.ts";
import type { Log } from "../../../base/log.ts";
import type { Cluster } from "../../../cluster/cluster.ts";
import { ifPresent } from "../../../cluster/if-present.ts";
import { PACK_PARAMETER, runnerConfigViolations } from "./runner-config-rules.ts";

/** What validating needs. */
export interface RunnerConfigValidatorParts {
  /** The management cluster. */
  readonly cluster: Cluster;
  /** Images without a Talos version in their tag may run (development only). */
  readonly allowDevelopmentImages: boolean;
  readonly log: Log;
}

/** Longest `reason` of a verdict, violations named first. */
const NAMED_IN_REASON = 5;

/**
 * Answers whether Jobs may be made from a RunnerConfig (conductor §4.13), from the objects as they stand on the management cluster: what
 * the asker says of itself counts for nothing but the comparison. Rejects when the cluster cannot be read: no verdict is no approval.
 */
export async function validateRunnerConfig(
  parts: RunnerConfigValidatorParts,
  tenant: string,
  request: RunnerConfigValidationRequest,
): Promise<RunnerConfigValidationResponse> {
  const { cluster, allowDevelopmentImages, log } = parts;
  const { requestId, runnerConfigName: name, namespace, specDigest } = request;
  const home = tenantNamespace(tenant);
  const own = namespace === NAMESPACES.ont || namespace === home;
  const [runnerConfig, board, inTenant, inSeam] = await Promise.all([
    own ? ifPresent(cluster.get(RunnerConfig, { namespace, name })) : undefined,
    ifPresent(cluster.get(RunnerConfig, { namespace: NAMESPACES.ont, name: tenant })),
    ifPresent(cluster.get(TalosCluster, { namespace: home, name: tenant })),
    ifPresent(cluster.get(TalosCluster, { namespace: NAMESPACES.seam, name: tenant })),
  ]);
  const deliveries = new Map<string, PackDelivery>();
  for (const { parameters } of runnerConfig?.spec.steps ?? []) {
    const pack = parameters?.[PACK_PARAMETER];
    if (pack === undefined || deliveries.has(pack)) continue;
    const found = await ifPresent(cluster.get(PackDelivery, { namespace: NAMESPACES.seam, name: pack }));
    if (found !== undefined) deliveries.set(pack, found);
  }
  const violations = runnerConfigViolations({
    cluster: tenant,
    namespace,
    name,
    specDigest,
    runnerConfig,
    capabilities: board?.status?.capabilities ?? [],
    talosCluster: inTenant ?? inSeam,
    delivery: (pack) => deliveries.get(pack),
    allowDevelopmentImages,
  });
  const approved = violations.length === 0;
  const reason = violations
    .slice(0, NAMED_IN_REASON)
    .map(({ code, field, message }) => `${code} ${field}: ${message}`)
    .join("; ");
  log.info({ cluster: tenant, runnerConfig: `${namespace}/${name}`, approved, reason }, "RunnerConfig validated");
  return create(RunnerConfigValidationResponseSchema, {
    requestId,
    runnerConfigName: name,
    approved,
    reason,
    violations: violations.map((violation) => create(ViolationSchema, violation)),
    evaluatedGeneration: BigInt(runnerConfig?.metadata.generation ?? 0),
  });
}

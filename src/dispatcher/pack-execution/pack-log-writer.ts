import { rfc3339Seconds } from "../../base/clock.ts";
import type { PackExecution } from "../../api/kinds/pack-execution.ts";
import type { PackInstalled } from "../../api/kinds/pack-installed.ts";
import { PackLog } from "../../api/kinds/pack-log.ts";
import { FIELD_MANAGERS, LABELS, labelValue, packLogName } from "../../api/names.ts";
import { keyOf } from "../../api/object.ts";
import { isStatus } from "../../cluster/api-status-error.ts";
import type { DispatcherContext } from "../dispatcher-context.ts";
import type { Outcome } from "./outcome.ts";

/** Superseded logs kept per base pack and cluster (dispatcher §8.7). */
const KEEP_SUPERSEDED = 10;

/** A finished attempt. */
export type FinishedOutcome = Extract<Outcome, { readonly state: "delivered" | "refused" }>;

/**
 * Records the outcome of an attempt, once: a log of the same attempt and status is found again after a crash (dispatcher §5.5). In
 * pull mode nobody but the dispatcher knows the outcome, so it writes what a pack-deploy Job would have written.
 */
export async function writePackLog(
  context: DispatcherContext,
  execution: PackExecution,
  basePack: string,
  outcome: FinishedOutcome,
  installed: PackInstalled,
): Promise<PackLog> {
  const namespace = execution.metadata.namespace ?? "";
  const cluster = execution.spec.targetClusterRef;
  // From the server: the revision is a number nobody may use twice.
  const { items } = await context.cluster.list(PackLog, {
    namespace,
    labelSelector: `${LABELS.basePack}=${labelValue(basePack)},${LABELS.cluster}=${cluster}`,
  });
  const status = outcome.state === "delivered" ? "Succeeded" : "Failed";
  const attempt = execution.status?.attempts ?? 0;
  const written = items.find(
    ({ spec }) => spec.jobRef?.uid === execution.metadata.uid && spec.attempt === attempt && spec.status === status,
  );
  const ordered = items.toSorted((a, b) => b.spec.revision - a.spec.revision);
  const log = written ?? (await create(context, execution, basePack, outcome, installed, ordered[0]));
  await supersede(context, log, ordered);
  return log;
}

async function create(
  context: DispatcherContext,
  execution: PackExecution,
  basePack: string,
  outcome: FinishedOutcome,
  installed: PackInstalled,
  previous: PackLog | undefined,
): Promise<PackLog> {
  const { clock } = context;
  const { spec, metadata, status } = execution;
  const seal = spec.artifact ?? status?.artifact;
  const revision = Math.max(previous?.spec.revision ?? 0, installed.status?.deliveredRevision ?? 0) + 1;
  context.assertFenced();
  return context.cluster.create(
    PackLog,
    {
      apiVersion: "seam.ontai.dev/v1alpha1",
      kind: "PackLog",
      metadata: {
        namespace: metadata.namespace ?? "",
        name: packLogName(metadata.name, revision),
        labels: {
          [LABELS.packExecution]: labelValue(metadata.name),
          [LABELS.pack]: labelValue(spec.clusterPackRef.name),
          [LABELS.basePack]: labelValue(basePack),
          [LABELS.cluster]: spec.targetClusterRef,
        },
      },
      spec: {
        revision,
        ...(previous === undefined ? {} : { previousRevisionRef: previous.metadata.name }),
        capability: "pack-deploy",
        status: outcome.state === "delivered" ? "Succeeded" : "Failed",
        packExecutionRef: metadata.name,
        clusterPackRef: spec.clusterPackRef.name,
        clusterPackVersion: spec.clusterPackRef.version,
        targetClusterRef: spec.targetClusterRef,
        basePackName: basePack,
        // No Job ran: the PackExecution itself is what this record is correlated with.
        jobRef: { name: metadata.name, ...(metadata.uid === undefined ? {} : { uid: metadata.uid }) },
        attempt: status?.attempts ?? 0,
        ...(seal === undefined ? {} : { artifact: seal }),
        ...(seal?.rbacDigest === undefined ? {} : { rbacDigest: seal.rbacDigest }),
        ...(seal?.workloadDigest === undefined ? {} : { workloadDigest: seal.workloadDigest }),
        ...(status?.startedAt === undefined ? {} : { startedAt: status.startedAt }),
        completedAt: rfc3339Seconds(clock.now()),
        ...(outcome.state === "delivered"
          ? { deployedResources: outcome.receipt.spec.deployedResources ?? [] }
          : {
              failureReason: {
                category: outcome.category,
                reason: outcome.reason.slice(0, 4096),
                failedStep: outcome.failedStep,
                retryable: false,
              },
            }),
      },
    },
    { fieldManager: FIELD_MANAGERS.dispatcher },
  );
}

/** Labels predecessors superseded and keeps the newest of them (dispatcher §8.7); a log that a PackInstalled names stays. */
async function supersede(context: DispatcherContext, log: PackLog, ordered: readonly PackLog[]): Promise<void> {
  const older = ordered.filter((other) => other.spec.revision < log.spec.revision);
  for (const other of older) {
    if (other.metadata.labels?.[LABELS.superseded] === "true") continue;
    await context.cluster.patch(
      PackLog,
      keyOf(other),
      { type: "merge", body: { metadata: { labels: { [LABELS.superseded]: "true" } } } },
      { fieldManager: FIELD_MANAGERS.dispatcher },
    );
  }
  const inUse = new Set(
    context.caches.installed
      .list()
      .filter(({ metadata }) => metadata.namespace === log.metadata.namespace)
      .map(({ status }) => status?.deliveredRevision),
  );
  for (const other of older.slice(KEEP_SUPERSEDED)) {
    if (inUse.has(other.spec.revision)) continue;
    try {
      await context.cluster.delete(PackLog, keyOf(other));
    } catch (error) {
      if (!isStatus(error, "NotFound")) throw error;
    }
  }
}

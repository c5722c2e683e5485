import { type AuditTrail, auditObject } from "../../../api/audit-record.ts";
import { ConfigMap } from "../../../api/builtin.ts";
import { FIELD_MANAGERS, NAMESPACES } from "../../../api/names.ts";
import type { ObjectKey } from "../../../api/object.ts";
import type { Clock } from "../../../base/clock.ts";
import { sha256Hex } from "../../../base/digest.ts";
import type { Log } from "../../../base/log.ts";
import type { Random } from "../../../base/random.ts";
import { isStatus } from "../../../cluster/api-status-error.ts";
import type { Cluster } from "../../../cluster/cluster.ts";
import { ifPresent } from "../../../cluster/if-present.ts";
import { startInformer } from "../../../controller/cache/informer.ts";
import { startController } from "../../../controller/controller.ts";
import { watchSource } from "../../../controller/source.ts";
import type { FactOutbox } from "../ports.ts";
import { BATCH_LABEL, readStagedBatch } from "./staged-batch.ts";

/** Annotation on a batch that cannot be taken over: digest of what was judged, and why. */
export const MALFORMED = "seam.ontai.dev/audit-batch-malformed";

/** What {@link startStagedBatches} works with. */
export interface StagedBatchesParts {
  /** The tenant's own cluster. */
  readonly cluster: Cluster;
  /** The audit log; a batch goes after all of it is durable there. */
  readonly facts: Pick<FactOutbox, "audit">;
  readonly trail: AuditTrail;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/**
 * Takes audit batches that others on this cluster staged as ConfigMaps in `ont-system` into the log. A batch is removed
 * after all its events are durable; one that cannot be read is marked and kept, since it is somebody's evidence.
 */
export function startStagedBatches(parts: StagedBatchesParts): { readonly closed: Promise<void> } {
  const { cluster, clock, random, log, signal } = parts;
  const staged = startInformer({
    cluster,
    type: ConfigMap,
    namespace: NAMESPACES.ont,
    labelSelector: `${BATCH_LABEL}=true`,
    clock,
    random,
    log,
    signal,
  });
  const controller = startController({
    name: "staged-audit-batches",
    reconcile: (key) => takeOver(parts, staged.get(key)?.metadata.uid, key),
    sources: [watchSource(staged)],
    workers: 1,
    clock,
    random,
    log,
    signal,
  });
  return { closed: Promise.all([staged.closed, controller.closed]).then(() => undefined) };
}

async function takeOver(
  { cluster, facts, trail, log }: StagedBatchesParts,
  uid: string | undefined,
  { name }: ObjectKey,
): Promise<void> {
  if (uid === undefined) return;
  const key = { namespace: NAMESPACES.ont, name };
  // Not from the cache: what is removed must be what was read.
  const object = await ifPresent(cluster.get(ConfigMap, key));
  if (object === undefined) return;
  const batch = readStagedBatch(object);
  if (!batch.ok) {
    const mark = `${sha256Hex(object.data?.["events"] ?? "").slice(0, 12)}: ${batch.problem}`;
    if (object.metadata.annotations?.[MALFORMED] === mark) return;
    log.warn({ configMap: name, problem: batch.problem }, "a staged audit batch cannot be read; it is marked and kept");
    await trail.record({
      ...auditObject(ConfigMap, object.metadata),
      action: "audit_batch.malformed",
      decision: "deny",
      subject: "staged audit batch",
      details: { problem: batch.problem },
    });
    const body = { metadata: { annotations: { [MALFORMED]: mark } } };
    await cluster.patch(ConfigMap, key, { type: "merge", body }, { fieldManager: FIELD_MANAGERS.agent });
    return;
  }
  await Promise.all(batch.events.map((event) => facts.audit(event)));
  const { resourceVersion } = object.metadata;
  try {
    await cluster.delete(ConfigMap, key, {
      preconditions: { uid, ...(resourceVersion !== undefined && { resourceVersion }) },
    });
  } catch (error) {
    if (!isStatus(error, "NotFound")) throw error;
  }
  await trail.record({
    ...auditObject(ConfigMap, object.metadata),
    action: "audit_batch.processed",
    decision: "system",
    subject: "staged audit batch",
    details: { count: batch.events.length },
  });
}

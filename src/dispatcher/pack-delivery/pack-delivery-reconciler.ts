import { rfc3339Seconds } from "../../base/clock.ts";
import { type ConditionUpdate, findCondition, isTrue } from "../../api/conditions.ts";
import { PackDelivery } from "../../api/kinds/pack-delivery.ts";
import { PackExecution } from "../../api/kinds/pack-execution.ts";
import { PackInstalled } from "../../api/kinds/pack-installed.ts";
import {
  ANNOTATIONS,
  CONTROLS,
  FIELD_MANAGERS,
  FINALIZERS,
  TENANT_NAMESPACE_PREFIX,
  basePackOf,
  isClusterName,
  packExecutionName,
  packInstalledName,
  tenantNamespace,
} from "../../api/names.ts";
import { type ObjectKey, keyOf } from "../../api/object.ts";
import { isStatus } from "../../cluster/api-status-error.ts";
import { ifPresent } from "../../cluster/if-present.ts";
import type { Result } from "../../controller/controller.ts";
import { applyStatus } from "../../controller/status.ts";
import { type DeliveryVerdict, verifyPackDelivery } from "../../packs/manifest/delivery-signature.ts";
import {
  BY_BASE_PACK,
  type DispatcherContext,
  mayTarget,
  newerThan,
  supersederOn,
  talosClusterOf,
} from "../dispatcher-context.ts";
import { packExecutionFor, sameSeal } from "../pack-execution/artifact-seal.ts";
import { aggregate, onceTrue, targetStatuses } from "./delivery-status.ts";
import { removePackDelivery } from "./pack-delivery-removal.ts";
import { type TargetPlan, type TargetView, belongsTo, planTargets } from "./plan-targets.ts";
import { specChecksum } from "./spec-checksum.ts";
import { clusterList, targetSet } from "./target-set.ts";

/** Requeues (dispatcher §4.3). */
const AWAITING_SIGNATURE_MS = 15_000;
const WAITING_FOR_CLUSTER_MS = 30_000;
const RESYNC_MS = 600_000;

/** What one pass found out about the PackDelivery itself, before any target. */
interface Verdicts {
  readonly checksum: string;
  readonly tampered: boolean;
  readonly paused: boolean;
  readonly revoked: boolean;
  readonly conflict: PackDelivery | undefined;
  readonly signature: DeliveryVerdict;
}

/** Registers packs, keeps them immutable, and fans them out to their targets (dispatcher §4). */
export class PackDeliveryReconciler {
  readonly #context: DispatcherContext;

  constructor(context: DispatcherContext) {
    this.#context = context;
  }

  readonly reconcile = async (key: ObjectKey): Promise<Result | void> => {
    const found = this.#context.caches.deliveries.get(key);
    if (found === undefined) return;
    if (found.metadata.deletionTimestamp !== undefined) return removePackDelivery(this.#context, found);
    const delivery = await this.#prepare(found);
    await this.#initialiseLineage(delivery);
    const verdicts = this.#judge(delivery);
    const available =
      !verdicts.tampered && !verdicts.revoked && verdicts.conflict === undefined && verdicts.signature.ok;
    const targets = this.#targets(delivery);
    const targetsOf = this.#memoisedTargets();
    const newer = newerThan(this.#context.caches, delivery);
    const views = targets.map((cluster) =>
      this.#view(delivery, cluster, verdicts.signature, supersederOn(cluster, newer, targetsOf)),
    );
    const planned = planTargets(delivery, views);
    const deploying = available && !verdicts.paused;
    if (deploying) await this.#carryOut(delivery, planned, verdicts.signature);
    else if (available) await this.#carryOut(delivery, planned.filter(isUninstall), verdicts.signature);
    const removed = await this.#leaveTargets(delivery, new Set(targets));
    await this.#say(delivery, verdicts, [...planned.map((plan) => settle(plan, deploying)), ...removed]);
    if (verdicts.tampered || verdicts.revoked) return;
    if (!verdicts.signature.ok) return { requeueAfterMs: AWAITING_SIGNATURE_MS };
    const waiting = planned.some((plan) => plan.phase === "WaitingForCluster" || plan.action !== "none");
    return { requeueAfterMs: waiting ? WAITING_FOR_CLUSTER_MS : RESYNC_MS };
  };

  /** Finalizer and snapshot annotation, in one conditional write. */
  async #prepare(delivery: PackDelivery): Promise<PackDelivery> {
    const { metadata, status } = delivery;
    const finalizers = metadata.finalizers ?? [];
    const snapshot = metadata.annotations?.[ANNOTATIONS.specChecksumSnapshot];
    const wanted = status?.specChecksum ?? snapshot ?? specChecksum(delivery.spec);
    if (finalizers.includes(FINALIZERS.packDelivery) && snapshot === wanted) return delivery;
    if (status?.specChecksum !== undefined && snapshot !== wanted)
      this.#context.events.record(
        delivery,
        "Warning",
        "SnapshotAnnotationTampered",
        "the snapshot annotation was removed or changed and is restored",
      );
    this.#context.assertFenced();
    return this.#context.cluster.patch(
      PackDelivery,
      keyOf(delivery),
      {
        type: "merge",
        body: {
          metadata: {
            resourceVersion: metadata.resourceVersion,
            finalizers: [...new Set([...finalizers, FINALIZERS.packDelivery])],
            annotations: { [ANNOTATIONS.specChecksumSnapshot]: wanted },
          },
        },
      },
      { fieldManager: FIELD_MANAGERS.dispatcher },
    );
  }

  /** Once, under its own manager: afterwards only the lineage controller touches it. */
  async #initialiseLineage(delivery: PackDelivery): Promise<void> {
    if (findCondition(delivery.status?.conditions, "LineageSynced") !== undefined) return;
    await applyStatus(
      this.#context,
      PackDelivery,
      delivery,
      { conditions: [{ type: "LineageSynced", status: "False", reason: "LineageControllerAbsent" }] },
      `${FIELD_MANAGERS.dispatcher}-lineage`,
    );
  }

  #judge(delivery: PackDelivery): Verdicts {
    const { annotations } = delivery.metadata;
    const checksum = delivery.status?.specChecksum ?? annotations?.[ANNOTATIONS.specChecksumSnapshot] ?? "";
    return {
      checksum,
      tampered: specChecksum(delivery.spec) !== checksum,
      paused: annotations?.[CONTROLS.paused] === "true",
      // One-way: removing the annotation does not bring a revoked pack back (dispatcher §9.4).
      revoked: annotations?.[CONTROLS.revoke] !== undefined || isTrue(delivery.status?.conditions, "Revoked"),
      conflict: this.#conflict(delivery),
      signature: verifyPackDelivery(delivery, this.#context.keys),
    };
  }

  /** An older PackDelivery of the same base pack and version with other content (dispatcher §4.1 step 11). */
  #conflict(delivery: PackDelivery): PackDelivery | undefined {
    const { caches } = this.#context;
    return caches.deliveries
      .byIndex(BY_BASE_PACK, basePackOf(delivery))
      .find(
        (other) =>
          other.metadata.uid !== delivery.metadata.uid &&
          other.metadata.deletionTimestamp === undefined &&
          other.spec.version === delivery.spec.version &&
          other.spec.registryRef.digest !== delivery.spec.registryRef.digest &&
          (other.metadata.creationTimestamp ?? "") < (delivery.metadata.creationTimestamp ?? "") &&
          (other.metadata.namespace === delivery.metadata.namespace ||
            this.#targets(other).some((cluster) => mayTarget(delivery, cluster))),
      );
  }

  #targets(delivery: PackDelivery): readonly string[] {
    return [...targetSet(delivery, this.#context.caches.clusters.list())].filter(isClusterName);
  }

  /** Target sets of other PackDeliveries, computed once per pass and not once per target. */
  #memoisedTargets(): (other: PackDelivery) => ReadonlySet<string> {
    const known = new Map<PackDelivery, ReadonlySet<string>>();
    return (other) => {
      let targets = known.get(other);
      if (targets === undefined) known.set(other, (targets = new Set(this.#targets(other))));
      return targets;
    };
  }

  #view(
    delivery: PackDelivery,
    cluster: string,
    signature: DeliveryVerdict,
    superseder: PackDelivery | undefined,
  ): TargetView {
    const { caches } = this.#context;
    const namespace = tenantNamespace(cluster);
    const execution = caches.executions.get({ namespace, name: packExecutionName(delivery.metadata.name, cluster) });
    const name = packInstalledName(basePackOf(delivery), cluster);
    return {
      cluster,
      home: this.#home(cluster),
      permitted: mayTarget(delivery, cluster),
      excluded: clusterList(delivery.metadata.annotations?.[CONTROLS.excludeClusters]).has(cluster),
      supersededBy: superseder?.spec.version,
      execution,
      sameSeal: execution !== undefined && signature.ok && sameSeal(execution, signature),
      installed: caches.installed.get({ namespace, name }),
      reportedVersion: caches.receipts.get({ namespace, name })?.spec.version,
    };
  }

  #home(cluster: string): TargetView["home"] {
    const { caches } = this.#context;
    const namespace = caches.namespaces.get({ name: TENANT_NAMESPACE_PREFIX + cluster });
    const talos = talosClusterOf(caches, cluster);
    if (namespace === undefined || namespace.metadata.deletionTimestamp !== undefined || talos === undefined)
      return "missing";
    return talos.metadata.deletionTimestamp === undefined ? "ready" : "deleting";
  }

  async #carryOut(delivery: PackDelivery, plans: readonly TargetPlan[], signature: DeliveryVerdict): Promise<void> {
    if (!signature.ok) return;
    for (const plan of plans) {
      switch (plan.action) {
        case "none":
          break;
        case "create":
          await this.#create(delivery, packExecutionFor(delivery, signature, plan.cluster));
          break;
        case "replace":
          await this.#deleteExecution(plan.cluster, plan.packExecution);
          break;
        case "uninstall":
          await this.#uninstall(delivery, plan);
          break;
      }
    }
  }

  async #create(delivery: PackDelivery, execution: PackExecution): Promise<void> {
    this.#context.assertFenced();
    try {
      await this.#context.cluster.create(PackExecution, execution, { fieldManager: FIELD_MANAGERS.dispatcher });
    } catch (error) {
      if (!isStatus(error, "AlreadyExists")) throw error;
      return; // idempotent: the cache is a moment behind
    }
    this.#context.events.record(
      delivery,
      "Normal",
      "PackExecutionCreated",
      `PackExecution ${execution.metadata.namespace ?? ""}/${execution.metadata.name} created`,
    );
  }

  /** PackInstalled first, its execution once that is gone (dispatcher §4.2). */
  async #uninstall(delivery: PackDelivery, plan: TargetPlan): Promise<void> {
    const namespace = tenantNamespace(plan.cluster);
    const name = packInstalledName(basePackOf(delivery), plan.cluster);
    const installed = this.#context.caches.installed.get({ namespace, name });
    if (installed !== undefined && belongsTo(installed, delivery)) {
      if (installed.metadata.deletionTimestamp === undefined) await this.#deleteInstalled(installed);
      return;
    }
    await this.#deleteExecution(plan.cluster, plan.packExecution);
  }

  /** Clusters that left the selector (dispatcher §1.1 onTargetRemoved). */
  async #leaveTargets(delivery: PackDelivery, targets: ReadonlySet<string>): Promise<readonly TargetPlan[]> {
    const left = (delivery.status?.targets ?? []).filter(({ cluster }) => !targets.has(cluster));
    if (delivery.spec.lifecyclePolicies?.onTargetRemoved === "Uninstall")
      for (const { cluster, packExecution } of left)
        await this.#uninstall(delivery, {
          cluster,
          phase: "Removed",
          action: "uninstall",
          ...(packExecution === undefined ? {} : { packExecution }),
        });
    return left.map(({ cluster }) => ({ cluster, phase: "Removed", action: "none" }));
  }

  async #deleteInstalled(installed: PackInstalled): Promise<void> {
    this.#context.assertFenced();
    const { uid } = installed.metadata;
    await ifPresent(
      this.#context.cluster.delete(
        PackInstalled,
        keyOf(installed),
        uid === undefined ? {} : { preconditions: { uid } },
      ),
    );
  }

  async #deleteExecution(cluster: string, name: string | undefined): Promise<void> {
    if (name === undefined) return;
    this.#context.assertFenced();
    await ifPresent(this.#context.cluster.delete(PackExecution, { namespace: tenantNamespace(cluster), name }));
  }

  async #say(delivery: PackDelivery, verdicts: Verdicts, plans: readonly TargetPlan[]): Promise<void> {
    const { clock } = this.#context;
    const { summary, conditions } = aggregate(plans);
    const before = isTrue(delivery.status?.conditions, "Available");
    const said = await applyStatus(
      this.#context,
      PackDelivery,
      delivery,
      {
        fields: {
          specChecksum: verdicts.checksum,
          observedGeneration: delivery.metadata.generation,
          deliveredSummary: summary,
          targets: targetStatuses(plans, delivery.status?.targets ?? [], clock.now()),
        },
        conditions: [...ownConditions(delivery, verdicts), ...conditions].map((condition) =>
          Object.assign({ observedGeneration: delivery.metadata.generation ?? 0 }, condition),
        ),
      },
      FIELD_MANAGERS.dispatcher,
    );
    const { events } = this.#context;
    if (!before && isTrue(said.status?.conditions, "Available"))
      events.record(delivery, "Normal", "PackAvailable", `signature verified at ${rfc3339Seconds(clock.now())}`);
    const violation = isTrue(delivery.status?.conditions, "ImmutabilityViolation");
    if (verdicts.tampered && !violation)
      events.record(delivery, "Warning", "ImmutabilityViolation", "spec differs from what was registered");
  }
}

function isUninstall(plan: TargetPlan): boolean {
  return plan.action === "uninstall";
}

/** A target whose delivery may not start shows as pending. */
function settle(plan: TargetPlan, deploying: boolean): TargetPlan {
  return deploying || plan.action !== "create" ? plan : Object.assign({}, plan, { action: "none" as const });
}

function ownConditions(delivery: PackDelivery, verdicts: Verdicts): readonly ConditionUpdate[] {
  const { signature } = verdicts;
  return [
    signaturePending(signature),
    available(verdicts),
    ...onceTrue(delivery, "ImmutabilityViolation", verdicts.tampered, {
      held: "ImmutabilityViolation",
      cleared: "SpecRestored",
    }),
    ...onceTrue(delivery, "Revoked", verdicts.revoked, { held: "PackRevoked", cleared: "PackRevoked" }),
    ...onceTrue(delivery, "Paused", verdicts.paused, { held: "PausedByAnnotation", cleared: "Resumed" }),
  ];
}

function signaturePending(signature: DeliveryVerdict): ConditionUpdate {
  if (signature.ok) return { type: "SignaturePending", status: "False", reason: "PackSigned" };
  return signature.code === "UNSIGNED"
    ? { type: "SignaturePending", status: "True", reason: "SignaturePending", message: "waits for the signer" }
    : { type: "SignaturePending", status: "True", reason: "SignatureVerifyFailed", message: signature.code };
}

function available({ tampered, revoked, conflict, signature }: Verdicts): ConditionUpdate {
  const no = (reason: string, message = ""): ConditionUpdate => ({
    type: "Available",
    status: "False",
    reason,
    message,
  });
  if (tampered) return no("ImmutabilityViolation", "spec differs from what was registered");
  if (revoked) return no("PackRevoked");
  if (!signature.ok)
    return signature.code === "UNSIGNED" ? no("SignaturePending") : no("SignatureVerifyFailed", signature.code);
  if (conflict !== undefined)
    return no("VersionConflict", `PackDelivery ${conflict.metadata.name} has this version with other content`);
  return { type: "Available", status: "True", reason: "PackAvailable" };
}

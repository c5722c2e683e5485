import { rfc3339Seconds } from "../../base/clock.ts";
import { type ConditionUpdate, findCondition, isTrue } from "../../api/conditions.ts";
import type { PackDelivery } from "../../api/kinds/pack-delivery.ts";
import { PackExecution, type PackExecutionStatus } from "../../api/kinds/pack-execution.ts";
import { PackInstalled } from "../../api/kinds/pack-installed.ts";
import { CONTROLS, FIELD_MANAGERS, basePackOf, clusterOfNamespace, packInstalledName } from "../../api/names.ts";
import type { ObjectKey } from "../../api/object.ts";
import type { Result } from "../../controller/controller.ts";
import { applyStatus } from "../../controller/status.ts";
import { verifyPackDelivery } from "../../packs/manifest/delivery-signature.ts";
import { type DispatcherContext, newerThan, supersederOn, talosClusterOf } from "../dispatcher-context.ts";
import { targetSet } from "../pack-delivery/target-set.ts";
import { upsertInstalled } from "../pack-installed/installed-spec.ts";
import { compareVersions } from "../version-order.ts";
import { sameSeal } from "./artifact-seal.ts";
import { type FinishedOutcome, writePackLog } from "./pack-log-writer.ts";
import { outcomeOf } from "./outcome.ts";
import { redeployNonce } from "./redeploy-trigger.ts";

/** How soon an unsigned pack is looked at again (dispatcher §4.3); watches wake it sooner. */
const AWAITING_SIGNATURE_MS = 15_000;
/** Safety resync of an attempt that waits for the tenant. */
const RUNNING_MS = 60_000;

type Phase = NonNullable<PackExecutionStatus["phase"]>;

/** Phases that only a person's redeploy leaves. Failed is also left when the tenant gets there after all. */
const FINAL: ReadonlySet<Phase | undefined> = new Set(["Revoked", "Cancelled"]);

/**
 * Brings one pack to one cluster in pull mode: an attempt makes the PackInstalled say what is to be there, the signer signs its
 * manifest into the tenant's index, the agent applies it, and the mirrored receipt tells the outcome.
 */
export class PackExecutionReconciler {
  readonly #context: DispatcherContext;

  constructor(context: DispatcherContext) {
    this.#context = context;
  }

  readonly reconcile = async (key: ObjectKey): Promise<Result | void> => {
    const found = this.#context.caches.executions.get(key);
    if (found === undefined || found.metadata.deletionTimestamp !== undefined) return;
    if (clusterOfNamespace(found.metadata.namespace) !== found.spec.targetClusterRef) {
      await this.#end(found, "Failed", "NamespaceMismatch", "targetClusterRef is not the cluster of this namespace");
      return;
    }
    const execution = await this.#initialiseLineage(found);
    const phase = execution.status?.phase;
    if (FINAL.has(phase)) return;
    const delivery = this.#delivery(execution);
    if (delivery === undefined || delivery.metadata.deletionTimestamp !== undefined) {
      await this.#end(execution, "Cancelled", "PackDeleted", "the PackDelivery is gone or going");
      return;
    }
    if (
      isTrue(delivery.status?.conditions, "Revoked") ||
      delivery.metadata.annotations?.[CONTROLS.revoke] !== undefined
    ) {
      await this.#end(execution, "Revoked", "ClusterPackRevoked", "the PackDelivery is revoked");
      return;
    }
    const nonce = redeployNonce(delivery, execution.spec.targetClusterRef);
    const again = nonce !== undefined && nonce !== execution.status?.trigger?.nonce;
    if (phase === "Succeeded" && !again) return;
    if (this.#isSuperseded(delivery, execution)) {
      await this.#end(execution, "Cancelled", "Superseded", "a newer version of the base pack is available");
      return;
    }
    if (
      talosClusterOf(this.#context.caches, execution.spec.targetClusterRef)?.metadata.deletionTimestamp !== undefined
    ) {
      await this.#end(execution, "Cancelled", "TargetClusterDeleting", "the target cluster is being deleted");
      return;
    }
    const verdict = verifyPackDelivery(delivery, this.#context.keys);
    if (!verdict.ok || !sameSeal(execution, verdict)) {
      await this.#await(execution, verdict.ok ? "SealMismatch" : verdict.code);
      return { requeueAfterMs: AWAITING_SIGNATURE_MS };
    }
    const paused = delivery.metadata.annotations?.[CONTROLS.paused] === "true";
    const fresh = phase === undefined || phase === "Pending" || again;
    if (fresh && paused) return; // wakes when the annotation goes
    const running = fresh ? await this.#start(execution, delivery, nonce) : execution;
    const installed = await upsertInstalled(this.#context, delivery, running);
    await this.#follow(running, delivery, installed);
    return { requeueAfterMs: RUNNING_MS };
  };

  /** Once, under its own manager (dispatcher §4.1 step 6). */
  async #initialiseLineage(execution: PackExecution): Promise<PackExecution> {
    if (findCondition(execution.status?.conditions, "LineageSynced") !== undefined) return execution;
    return applyStatus(
      this.#context,
      PackExecution,
      execution,
      { conditions: [{ type: "LineageSynced", status: "False", reason: "LineageControllerAbsent" }] },
      `${FIELD_MANAGERS.dispatcher}-lineage`,
    );
  }

  #delivery(execution: PackExecution): PackDelivery | undefined {
    const { name, namespace, uid } = execution.spec.clusterPackRef;
    const delivery = this.#context.caches.deliveries.get({
      namespace: namespace ?? execution.metadata.namespace ?? "",
      name,
    });
    return uid === undefined || delivery?.metadata.uid === uid ? delivery : undefined;
  }

  #isSuperseded(delivery: PackDelivery, execution: PackExecution): boolean {
    const { caches } = this.#context;
    const targets = (other: PackDelivery): ReadonlySet<string> => targetSet(other, caches.clusters.list());
    return supersederOn(execution.spec.targetClusterRef, newerThan(caches, delivery), targets) !== undefined;
  }

  /** Admits an attempt. What was installed before is looked at now: the upsert that follows overwrites it. */
  async #start(execution: PackExecution, delivery: PackDelivery, nonce: string | undefined): Promise<PackExecution> {
    const attempts = (execution.status?.attempts ?? 0) + 1;
    const manual = nonce !== undefined && attempts > 1;
    this.#context.assertFenced();
    const started = await this.#write(
      execution,
      {
        phase: "Running",
        attempts,
        maxAttempts: delivery.spec.retry?.maxAttempts ?? 3,
        startedAt: rfc3339Seconds(this.#context.clock.now()),
        trigger: { kind: manual ? "Manual" : "FanOut", ...(nonce === undefined ? {} : { nonce }) },
        upgradeDirection: this.#direction(execution, delivery),
      },
      [
        { type: "PackSignaturePending", status: "False", reason: "PackSigned" },
        { type: "Pending", status: "False", reason: "ManifestIssued" },
        { type: "Running", status: "True", reason: "ManifestIssued", message: "waits for the signed manifest" },
      ],
    );
    this.#context.log.info(
      { execution: execution.metadata.name, cluster: execution.spec.targetClusterRef, attempt: attempts },
      "delivery started",
    );
    return started;
  }

  #direction(execution: PackExecution, delivery: PackDelivery): NonNullable<PackExecutionStatus["upgradeDirection"]> {
    const { namespace } = execution.metadata;
    const name = packInstalledName(basePackOf(delivery), execution.spec.targetClusterRef);
    const before = this.#context.caches.installed.get({ namespace: namespace ?? "", name })?.spec.version;
    if (before === undefined) return "Initial";
    const order = compareVersions(before, execution.spec.clusterPackRef.version);
    if (order === 0) return "Redeploy";
    return order !== undefined && order > 0 ? "Rollback" : "Upgrade";
  }

  /** Reads the outcome and records it, the PackExecution last: a crash before that repeats what went before (dispatcher §5.5). */
  async #follow(execution: PackExecution, delivery: PackDelivery, installed: PackInstalled | undefined): Promise<void> {
    const name = packInstalledName(basePackOf(delivery), execution.spec.targetClusterRef);
    const receipt = this.#context.caches.receipts.get({ namespace: execution.metadata.namespace ?? "", name });
    const outcome = outcomeOf(execution, installed, receipt);
    if (outcome.state === "waiting" || installed === undefined) {
      if (execution.status?.phase !== "Running") return;
      const message = outcome.state === "waiting" ? outcome.message : "waits for the removal of its predecessor";
      await this.#write(execution, runningFields(execution), [
        { type: "PackSignaturePending", status: "False", reason: "PackSigned" },
        { type: "Pending", status: "False", reason: "ManifestIssued" },
        { type: "Running", status: "True", reason: "ManifestIssued", message },
      ]);
      return;
    }
    if (outcome.state === "refused" && execution.status?.phase === "Failed") return;
    await this.#finish(execution, delivery, installed, outcome);
  }

  async #finish(
    execution: PackExecution,
    delivery: PackDelivery,
    installed: PackInstalled,
    outcome: FinishedOutcome,
  ): Promise<void> {
    const { events, clock } = this.#context;
    const log = await writePackLog(this.#context, execution, basePackOf(delivery), outcome, installed);
    const now = rfc3339Seconds(clock.now());
    const fields = {
      ...runningFields(execution),
      completedAt: now,
      operationResultRef: log.metadata.name,
    };
    if (outcome.state === "refused") {
      await this.#write(
        execution,
        {
          ...fields,
          phase: "Failed",
          lastFailure: {
            category: outcome.category,
            reason: outcome.reason.slice(0, 4096),
            failedStep: outcome.failedStep,
            retryable: false,
          },
        },
        [
          { type: "Pending", status: "False", reason: "ManifestIssued" },
          { type: "Running", status: "False", reason: "CapabilityFailed" },
          { type: "Succeeded", status: "False", reason: "CapabilityFailed", message: failureText(outcome) },
          { type: "Failed", status: "True", reason: "CapabilityFailed", message: failureText(outcome) },
        ],
      );
      events.record(execution, "Warning", "CapabilityFailed", failureText(outcome));
      return;
    }
    await applyStatus(
      this.#context,
      PackInstalled,
      installed,
      {
        fields: {
          deployedResources: outcome.receipt.spec.deployedResources ?? [],
          upgradeDirection: execution.status?.upgradeDirection,
          deliveredRevision: log.spec.revision,
          deliveredAt: log.spec.completedAt ?? now,
        },
      },
      `${FIELD_MANAGERS.dispatcher}-execution`,
    );
    await this.#write(execution, { ...fields, phase: "Succeeded" }, [
      { type: "PackSignaturePending", status: "False", reason: "PackSigned" },
      { type: "Pending", status: "False", reason: "ManifestIssued" },
      { type: "Running", status: "False", reason: "JobSucceeded" },
      { type: "Succeeded", status: "True", reason: "JobSucceeded", message: `revision ${log.spec.revision}` },
      { type: "Failed", status: "False", reason: "JobSucceeded" },
    ]);
    events.record(execution, "Normal", "Succeeded", `delivered as revision ${log.spec.revision}`);
  }

  async #await(execution: PackExecution, code: string): Promise<void> {
    if (execution.status?.phase !== undefined && execution.status.phase !== "Pending") return;
    await this.#write(execution, { phase: "Pending" }, [
      code === "UNSIGNED"
        ? { type: "PackSignaturePending", status: "True", reason: "AwaitingSignature" }
        : { type: "PackSignaturePending", status: "True", reason: "SignatureVerifyFailed", message: code },
      { type: "Pending", status: "True", reason: "AwaitingSignature" },
    ]);
  }

  async #end(execution: PackExecution, phase: Phase, reason: string, message: string): Promise<void> {
    if (execution.status?.phase === "Succeeded" && phase === "Cancelled") return;
    if (execution.status?.phase === phase) return;
    const type = phase === "Revoked" ? "PackRevoked" : phase;
    await this.#write(
      execution,
      { ...runningFields(execution), phase, completedAt: rfc3339Seconds(this.#context.clock.now()) },
      [
        { type: "Pending", status: "False", reason },
        { type: "Running", status: "False", reason },
        { type, status: "True", reason, message },
      ],
    );
    this.#context.events.record(execution, phase === "Cancelled" ? "Normal" : "Warning", reason, message);
  }

  /** The dispatcher's whole part of the status (server-side apply removes what is left out). */
  #write(
    execution: PackExecution,
    fields: Omit<PackExecutionStatus, "conditions">,
    conditions: readonly ConditionUpdate[],
  ): Promise<PackExecution> {
    const generation = execution.metadata.generation ?? 0;
    return applyStatus(
      this.#context,
      PackExecution,
      execution,
      {
        fields: { ...fields, observedGeneration: generation },
        conditions: conditions.map((condition) => Object.assign({ observedGeneration: generation }, condition)),
      },
      FIELD_MANAGERS.dispatcher,
    );
  }
}

function runningFields(execution: PackExecution): Omit<PackExecutionStatus, "conditions"> {
  const { phase, attempts, maxAttempts, startedAt, trigger, upgradeDirection } = execution.status ?? {};
  return {
    ...(phase === undefined ? {} : { phase }),
    ...(attempts === undefined ? {} : { attempts }),
    ...(maxAttempts === undefined ? {} : { maxAttempts }),
    ...(startedAt === undefined ? {} : { startedAt }),
    ...(trigger === undefined ? {} : { trigger }),
    ...(upgradeDirection === undefined ? {} : { upgradeDirection }),
  };
}

function failureText(outcome: Extract<FinishedOutcome, { readonly state: "refused" }>): string {
  return `step "${outcome.failedStep}" failed: ${outcome.reason}`;
}

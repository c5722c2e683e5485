import { rfc3339Seconds } from "../../base/clock.ts";
import { type ConditionUpdate, findCondition, isTrue } from "../../api/conditions.ts";
import { DriftSignal } from "../../api/kinds/drift-signal.ts";
import { PackInstalled } from "../../api/kinds/pack-installed.ts";
import { FIELD_MANAGERS, NAMESPACES, clusterOfNamespace, packDriftSignalName } from "../../api/names.ts";
import { type ObjectKey, keyOf } from "../../api/object.ts";
import type { Result } from "../../controller/controller.ts";
import { applyStatus } from "../../controller/status.ts";
import { BY_NAMESPACE, type DispatcherContext } from "../dispatcher-context.ts";
import { type CorrectionView, admit } from "./admission.ts";

/** How soon a signal that is held or waits is looked at again; watches wake it sooner. */
const RECHECK_MS = 30_000;

/**
 * Starts corrective attempts (conductor §9.5): a delivered signal becomes queued with the object that corrects it. In pull mode that is
 * the correction, which the signer signs into the tenant's index for exactly this state. The hub counts, confirms and gives up.
 */
export class Corrector {
  readonly #context: DispatcherContext;

  constructor(context: DispatcherContext) {
    this.#context = context;
  }

  readonly reconcile = async (key: ObjectKey): Promise<Result | void> => {
    const signal = this.#context.caches.signals.get(key);
    const cluster = clusterOfNamespace(key.namespace);
    if (signal === undefined || cluster === undefined) return;
    const view = this.#view(signal, cluster);
    const admission = admit(view);
    switch (admission.decision) {
      case "ignore":
        return;
      case "wait":
        return { requeueAfterMs: RECHECK_MS };
      case "held":
        await this.#say(signal, { type: "CorrectionHeld", status: "True", reason: admission.reason });
        return { requeueAfterMs: RECHECK_MS };
      case "unavailable":
        await this.#say(signal, { type: "CorrectionUnavailable", status: "True", reason: "NotFound" });
        return { requeueAfterMs: RECHECK_MS };
      case "admit": {
        await this.#queue(await this.#clear(signal), admission.jobRef);
        if (view.installed !== undefined) await this.#count(view.installed);
      }
    }
  };

  #view(signal: DriftSignal, cluster: string): CorrectionView {
    const { caches } = this.#context;
    const namespace = signal.metadata.namespace ?? "";
    const installed =
      signal.spec.packInstanceRef === undefined
        ? caches.installed
            .byIndex(BY_NAMESPACE, namespace)
            .find(({ metadata }) => packDriftSignalName(metadata.name) === signal.metadata.name)
        : caches.installed.get({ namespace, name: signal.spec.packInstanceRef });
    const { clusterPackRef, clusterPackNamespace, packExecutionRef } = installed?.spec ?? {};
    return {
      signal,
      installed,
      delivery:
        clusterPackRef === undefined
          ? undefined
          : caches.deliveries.get({ namespace: clusterPackNamespace ?? "", name: clusterPackRef }),
      execution:
        packExecutionRef === undefined ? undefined : caches.executions.get({ namespace, name: packExecutionRef }),
      clusterHold: caches.installed
        .byIndex(BY_NAMESPACE, namespace)
        .some(({ status }) => isTrue(status?.conditions, "SecurityViolation")),
      channelDegraded:
        caches.runnerConfigs.get({ namespace: NAMESPACES.ont, name: cluster })?.status?.federation?.connected === false,
      nowMs: this.#context.clock.now(),
    };
  }

  /** Conditional on the state that was judged. */
  async #queue(signal: DriftSignal, jobRef: string): Promise<void> {
    this.#context.assertFenced();
    await this.#context.cluster.patch(
      DriftSignal,
      keyOf(signal),
      {
        type: "merge",
        body: {
          metadata: { uid: signal.metadata.uid, resourceVersion: signal.metadata.resourceVersion },
          spec: {
            state: "queued",
            correctionJobRef: jobRef,
            lastAttemptAt: rfc3339Seconds(this.#context.clock.now()),
          },
        },
      },
      { fieldManager: FIELD_MANAGERS.corrector },
    );
    const attempt = (signal.spec.escalationCounter ?? 0) + 1;
    this.#context.events.record(signal, "Normal", "CorrectionQueued", `attempt ${attempt} by ${jobRef}`);
    this.#context.log.info({ signal: signal.metadata.name, attempt, jobRef }, "correction queued");
  }

  async #count(installed: PackInstalled): Promise<void> {
    await applyStatus(
      this.#context,
      PackInstalled,
      installed,
      { fields: { driftCorrections: (installed.status?.driftCorrections ?? 0) + 1 } },
      FIELD_MANAGERS.corrector,
    );
  }

  async #clear(signal: DriftSignal): Promise<DriftSignal> {
    const stand = (type: string): boolean => findCondition(signal.status?.conditions, type)?.status === "True";
    if (!stand("CorrectionHeld") && !stand("CorrectionUnavailable")) return signal;
    return this.#write(signal, [
      { type: "CorrectionHeld", status: "False", reason: "Admitted" },
      { type: "CorrectionUnavailable", status: "False", reason: "Found" },
    ]);
  }

  async #say(signal: DriftSignal, condition: ConditionUpdate): Promise<void> {
    const held = condition.type === "CorrectionHeld";
    await this.#write(signal, [
      condition,
      held
        ? { type: "CorrectionUnavailable", status: "False", reason: "Found" }
        : { type: "CorrectionHeld", status: "False", reason: "NotHeld" },
    ]);
  }

  #write(signal: DriftSignal, conditions: readonly ConditionUpdate[]): Promise<DriftSignal> {
    return applyStatus(this.#context, DriftSignal, signal, { conditions }, FIELD_MANAGERS.corrector);
  }
}

import { type ConditionUpdate, findCondition, isTrue } from "../../api/conditions.ts";
import { PackInstalled } from "../../api/kinds/pack-installed.ts";
import { FIELD_MANAGERS, NAMESPACES, packInstalledName } from "../../api/names.ts";
import type { ObjectKey } from "../../api/object.ts";
import type { Result } from "../../controller/controller.ts";
import { applyStatus } from "../../controller/status.ts";
import type { DispatcherContext } from "../dispatcher-context.ts";
import { installedConditions } from "./installed-conditions.ts";
import { removeInstalled } from "./pack-installed-removal.ts";

/** Drift poll (dispatcher §6); the receipts' watch is quicker. */
const POLL_MS = 60_000;

/** Events on a condition that becomes True. */
const WARNINGS: Readonly<Record<string, string>> = {
  SecurityViolation: "SecurityViolation",
  Drifted: "DriftDetected",
  DependencyBlocked: "DependencyBlocked",
};

/** Says how an installed pack is, from the mirrored receipt (dispatcher §6). */
export class PackInstalledReconciler {
  readonly #context: DispatcherContext;

  constructor(context: DispatcherContext) {
    this.#context = context;
  }

  readonly reconcile = async (key: ObjectKey): Promise<Result | void> => {
    const { caches } = this.#context;
    const found = caches.installed.get(key);
    if (found === undefined) return;
    if (found.metadata.deletionTimestamp !== undefined) return removeInstalled(this.#context, found);
    const installed = await this.#initialiseLineage(found);
    const receipt = caches.receipts.get(key);
    const delivery = caches.deliveries.get({
      namespace: installed.spec.clusterPackNamespace ?? "",
      name: installed.spec.clusterPackRef,
    });
    const cluster = installed.spec.targetClusterRef;
    const federation = caches.runnerConfigs.get({ namespace: NAMESPACES.ont, name: cluster })?.status?.federation;
    const conditions = installedConditions({
      installed,
      receipt,
      dependencies: (installed.spec.dependsOn ?? []).map((name) => ({
        name,
        installed: caches.installed.get({ namespace: key.namespace ?? "", name: packInstalledName(name, cluster) }),
      })),
      revoked: isTrue(delivery?.status?.conditions, "Revoked"),
      channelDegraded: federation?.connected === false,
      nowMs: this.#context.clock.now(),
    });
    await this.#say(installed, conditions, receipt?.metadata.name);
    return { requeueAfterMs: POLL_MS };
  };

  async #initialiseLineage(installed: PackInstalled): Promise<PackInstalled> {
    if (findCondition(installed.status?.conditions, "LineageSynced") !== undefined) return installed;
    return applyStatus(
      this.#context,
      PackInstalled,
      installed,
      { conditions: [{ type: "LineageSynced", status: "False", reason: "LineageControllerAbsent" }] },
      `${FIELD_MANAGERS.dispatcher}-lineage`,
    );
  }

  async #say(
    installed: PackInstalled,
    conditions: readonly ConditionUpdate[],
    receiptRef: string | undefined,
  ): Promise<void> {
    const receipt = receiptRef === undefined ? undefined : this.#receipt(installed);
    const generation = installed.metadata.generation ?? 0;
    await applyStatus(
      this.#context,
      PackInstalled,
      installed,
      {
        fields: {
          observedGeneration: generation,
          receiptRef,
          receiptDigest: receipt?.spec.manifestDigest,
          driftSummary: receipt?.status?.driftStatus === "Drifted" ? receipt.status.driftSummary : undefined,
          lastDriftCheckAt: receipt?.status?.lastDriftCheckAt,
        },
        conditions: conditions.map((condition) => Object.assign({ observedGeneration: generation }, condition)),
      },
      FIELD_MANAGERS.dispatcher,
    );
    for (const { type, status, message } of conditions) {
      const reason = WARNINGS[type];
      if (reason === undefined || status !== "True" || isTrue(installed.status?.conditions, type)) continue;
      this.#context.events.record(installed, "Warning", reason, message ?? "");
    }
  }

  #receipt(installed: PackInstalled) {
    const { name, namespace } = installed.metadata;
    return this.#context.caches.receipts.get({ namespace: namespace ?? "", name });
  }
}

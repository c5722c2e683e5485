import type { PackDelivery, PackDeliveryTarget } from "../../api/kinds/pack-delivery.ts";
import type { PackExecution } from "../../api/kinds/pack-execution.ts";
import type { PackInstalled } from "../../api/kinds/pack-installed.ts";

/** What the fan-out sees of one target. */
export interface TargetView {
  readonly cluster: string;
  /** Whether the tenant namespace and the TalosCluster are there. */
  readonly home: "ready" | "missing" | "deleting";
  readonly permitted: boolean;
  readonly excluded: boolean;
  /** Version of the PackDelivery that supersedes this one here. */
  readonly supersededBy: string | undefined;
  readonly execution: PackExecution | undefined;
  /** The execution carries the same artifact as the PackDelivery. */
  readonly sameSeal: boolean;
  /** PackInstalled of this base pack, whichever PackDelivery it belongs to now. */
  readonly installed: PackInstalled | undefined;
  /** Version that the tenant says it holds. */
  readonly reportedVersion: string | undefined;
}

/** What to do about one target. */
export interface TargetPlan {
  readonly cluster: string;
  readonly phase: PackDeliveryTarget["phase"];
  readonly action: "none" | "create" | "replace" | "uninstall";
  readonly packExecution?: string;
  readonly installedVersion?: string;
  readonly reason?: string;
}

/**
 * Decides what happens on every target, in the order of the table of dispatcher §4.2, then holds new deliveries back by the rollout
 * limits. Pure.
 */
export function planTargets(delivery: PackDelivery, targets: readonly TargetView[]): readonly TargetPlan[] {
  const plans = inRolloutOrder(delivery, targets).map((target) => planOne(delivery, target));
  return withinRollout(delivery, plans).toSorted((a, b) => (a.cluster < b.cluster ? -1 : 1));
}

function planOne(delivery: PackDelivery, target: TargetView): TargetPlan {
  const { cluster, execution, installed } = target;
  const version = target.reportedVersion ?? "";
  const own = { cluster, ...(execution === undefined ? {} : { packExecution: execution.metadata.name }) };
  const known = { ...own, ...(version === "" ? {} : { installedVersion: version }) };
  if (target.home === "deleting")
    return { ...known, phase: "WaitingForCluster", action: "none", reason: "ClusterDeleting" };
  if (target.home === "missing")
    return { ...known, phase: "WaitingForCluster", action: "none", reason: "ClusterNotFound" };
  if (!target.permitted) return { ...known, phase: "Failed", action: "none", reason: "TargetNotPermitted" };
  if (target.excluded) {
    const ours = installed !== undefined && belongsTo(installed, delivery);
    return { ...known, phase: "Excluded", action: ours || execution !== undefined ? "uninstall" : "none" };
  }
  // What the tenant holds instead is the successor's to say: else every new version would rewrite all old ones.
  if (target.supersededBy !== undefined)
    return { ...own, phase: "Superseded", action: "none", reason: `superseded by ${target.supersededBy}` };
  if (execution === undefined) return { ...known, phase: "Pending", action: "create" };
  const replaced = reasonToReplace(delivery, target, execution);
  if (replaced !== undefined) return { ...known, phase: "Pending", action: "replace", reason: replaced };
  return { ...known, ...phaseOf(execution), action: "none" };
}

/** An execution that cannot lead to what is wanted any more makes room for a new one; PackInstalled and PackLogs are not its own. */
function reasonToReplace(delivery: PackDelivery, target: TargetView, execution: PackExecution): string | undefined {
  const phase = execution.status?.phase;
  if (!target.sameSeal) return "the PackExecution holds another seal";
  if (phase === "Cancelled") return "this version is current again";
  const { installed } = target;
  if (phase === "Succeeded" && (installed === undefined || !belongsTo(installed, delivery)))
    return "what it installed is gone";
  return undefined;
}

function phaseOf(execution: PackExecution): { readonly phase: PackDeliveryTarget["phase"]; readonly reason?: string } {
  const phase = execution.status?.phase ?? "Pending";
  const reason = execution.status?.lastFailure?.reason;
  const why = reason === undefined ? {} : { reason: reason.slice(0, 1024) };
  switch (phase) {
    case "Succeeded":
      return { phase: "Installed" };
    case "Cancelled":
      return { phase: "Superseded" };
    case "Pending":
    case "Queued":
    case "Running":
    case "Retrying":
    case "Failed":
      return { phase, ...why };
    case "Revoked":
      return { phase };
  }
}

/** True when the PackInstalled is what this PackDelivery installed, and no successor has taken it over (dispatcher §4.4). */
export function belongsTo(installed: PackInstalled, delivery: PackDelivery): boolean {
  const { clusterPackRef, clusterPackNamespace, packDeliveryUID } = installed.spec;
  if (clusterPackRef !== delivery.metadata.name) return false;
  if (packDeliveryUID !== undefined) return packDeliveryUID === delivery.metadata.uid;
  return clusterPackNamespace === delivery.metadata.namespace;
}

function inRolloutOrder(delivery: PackDelivery, targets: readonly TargetView[]): readonly TargetView[] {
  const first = delivery.spec.rollout?.order ?? [];
  const rank = (cluster: string): number => {
    const index = first.indexOf(cluster);
    return index < 0 ? first.length : index;
  };
  return [...targets].sort((a, b) => rank(a.cluster) - rank(b.cluster) || (a.cluster < b.cluster ? -1 : 1));
}

const IN_FLIGHT: ReadonlySet<string> = new Set(["Queued", "Running", "Retrying"]);

function withinRollout(delivery: PackDelivery, plans: readonly TargetPlan[]): readonly TargetPlan[] {
  const { rollout } = delivery.spec;
  if (rollout === undefined) return plans;
  const { maxConcurrent = 0, maxFailures = 0, onFailure = "Stop" } = rollout;
  const failed = plans.filter((plan) => plan.phase === "Failed").length;
  const stopped = onFailure !== "Continue" && failed > maxFailures;
  let inFlight = plans.filter(
    (plan) => IN_FLIGHT.has(plan.phase) || (plan.phase === "Pending" && plan.packExecution !== undefined),
  ).length;
  return plans.map((plan) => {
    if (plan.action !== "create") return plan;
    if (stopped) return held(plan, "RolloutStopped");
    if (maxConcurrent > 0 && inFlight >= maxConcurrent) return held(plan, "RolloutWaiting");
    inFlight += 1;
    return plan;
  });
}

function held(plan: TargetPlan, reason: string): TargetPlan {
  return Object.assign({}, plan, { action: "none" as const, reason });
}

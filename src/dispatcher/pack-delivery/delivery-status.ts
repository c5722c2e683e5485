import { type ConditionUpdate, findCondition } from "../../api/conditions.ts";
import type { PackDelivery, PackDeliveryTarget } from "../../api/kinds/pack-delivery.ts";
import { rfc3339Seconds } from "../../base/clock.ts";
import type { TargetPlan } from "./plan-targets.ts";

/** Targets for the status: the transition time moves only when the phase does. Pure. */
export function targetStatuses(
  plans: readonly TargetPlan[],
  before: readonly PackDeliveryTarget[],
  nowMs: number,
): readonly PackDeliveryTarget[] {
  const old = new Map(before.map((target) => [target.cluster, target]));
  return plans.map((plan) => targetStatus(plan, old.get(plan.cluster), nowMs));
}

function targetStatus(plan: TargetPlan, old: PackDeliveryTarget | undefined, nowMs: number): PackDeliveryTarget {
  const { action: _action, ...said } = plan;
  const same = old?.phase === plan.phase && old.lastTransitionTime !== undefined;
  return { ...said, lastTransitionTime: same ? old.lastTransitionTime : rfc3339Seconds(nowMs) };
}

/** Conditions `Delivered` and `Superseded`, and the summary such as `3/4` (dispatcher §4.1 step 13). Pure. */
export function aggregate(plans: readonly TargetPlan[]): {
  readonly summary: string;
  readonly conditions: readonly ConditionUpdate[];
} {
  const counted = plans.filter((plan) => plan.phase !== "Excluded" && plan.phase !== "Removed");
  const of = (phase: TargetPlan["phase"]): readonly string[] =>
    counted.filter((plan) => plan.phase === phase).map((plan) => plan.cluster);
  const installed = of("Installed");
  const superseded = of("Superseded");
  const failed = [...of("Failed"), ...of("Revoked")];
  const summary = `${installed.length}/${counted.length}`;
  return {
    summary,
    conditions: [
      deliveredCondition(counted.length, installed.length, superseded.length, failed, summary),
      superseded.length > 0 && superseded.length === counted.length
        ? { type: "Superseded", status: "True", reason: "NewerVersionAvailable" }
        : { type: "Superseded", status: "False", reason: "Current" },
    ],
  };
}

function deliveredCondition(
  total: number,
  installed: number,
  superseded: number,
  failed: readonly string[],
  summary: string,
): ConditionUpdate {
  if (total === 0) return { type: "Delivered", status: "Unknown", reason: "NoTargets" };
  if (failed.length > 0)
    return {
      type: "Delivered",
      status: "False",
      reason: "SomeTargetsFailed",
      message: `${summary} installed; failed on ${failed.slice(0, 10).join(", ")}`,
    };
  if (installed + superseded === total && installed > 0)
    return { type: "Delivered", status: "True", reason: "AllTargetsInstalled", message: `${summary} installed` };
  return { type: "Delivered", status: "False", reason: "Progressing", message: `${summary} installed` };
}

/** A condition that is said only once it was ever true: False clears it, and before that it is absent. */
export function onceTrue(
  delivery: PackDelivery,
  type: string,
  holds: boolean,
  reasons: { readonly held: string; readonly cleared: string },
  message = "",
): readonly ConditionUpdate[] {
  if (holds) return [{ type, status: "True", reason: reasons.held, message }];
  if (findCondition(delivery.status?.conditions, type) === undefined) return [];
  return [{ type, status: "False", reason: reasons.cleared }];
}

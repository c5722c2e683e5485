import { rfc3339Seconds } from "../base/clock.ts";
import type { Condition } from "./kinds/condition.ts";

/** What a controller says about one condition; the transition time follows from what stands there already. */
export interface ConditionUpdate {
  readonly type: string;
  readonly status: Condition["status"];
  readonly reason: string;
  readonly message?: string;
  readonly observedGeneration?: number;
}

/** Longest message; longer ones are cut (resources-seam §0.1). */
const MAX_MESSAGE = 32_768;

/** The condition of `type`; undefined when there is none. */
export function findCondition(conditions: readonly Condition[] | undefined, type: string): Condition | undefined {
  return conditions?.find((condition) => condition.type === type);
}

/** True when the condition of `type` has status True. */
export function isTrue(conditions: readonly Condition[] | undefined, type: string): boolean {
  return findCondition(conditions, type)?.status === "True";
}

/** True when the condition of `type` has status False. */
export function isFalse(conditions: readonly Condition[] | undefined, type: string): boolean {
  return findCondition(conditions, type)?.status === "False";
}

/**
 * The list with `updates` merged in by type. `lastTransitionTime` moves only when `status` flips (resources-seam §0.1); an entry
 * that says nothing new is kept as the same object, and a merge that changes nothing returns the same list.
 *
 * @param nowMs wall clock, Unix milliseconds
 */
export function mergeConditions(
  existing: readonly Condition[] | undefined,
  updates: readonly ConditionUpdate[],
  nowMs: number,
): readonly Condition[] {
  let changed = existing === undefined && updates.length > 0;
  const merged = [...(existing ?? [])];
  for (const update of updates) {
    const index = merged.findIndex((condition) => condition.type === update.type);
    const old = merged[index];
    const next = toCondition(old, update, nowMs);
    if (old !== undefined && sameCondition(old, next)) continue;
    changed = true;
    if (index < 0) merged.push(next);
    else merged[index] = next;
  }
  return changed ? merged : (existing ?? []);
}

function toCondition(old: Condition | undefined, update: ConditionUpdate, nowMs: number): Condition {
  return {
    type: update.type,
    status: update.status,
    ...(update.observedGeneration === undefined ? {} : { observedGeneration: update.observedGeneration }),
    lastTransitionTime:
      old !== undefined && old.status === update.status ? old.lastTransitionTime : rfc3339Seconds(nowMs),
    reason: update.reason,
    message: (update.message ?? "").slice(0, MAX_MESSAGE),
  };
}

function sameCondition(a: Condition, b: Condition): boolean {
  return (
    a.status === b.status &&
    a.reason === b.reason &&
    a.message === b.message &&
    a.observedGeneration === b.observedGeneration &&
    a.lastTransitionTime === b.lastTransitionTime
  );
}

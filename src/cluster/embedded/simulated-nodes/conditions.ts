import type { BuiltinCondition } from "../../../api/builtin.ts";

/** A condition without its times. */
export type NewCondition = Omit<BuiltinCondition, "lastTransitionTime" | "lastUpdateTime" | "lastProbeTime">;

/** `next` with the transition times of `current` where the status did not change. */
export function mergeConditions(
  current: readonly BuiltinCondition[] | undefined,
  next: readonly NewCondition[],
  time: string,
): readonly BuiltinCondition[] {
  return next.map((condition) => {
    const before = current?.find((other) => other.type === condition.type);
    const same = before?.status === condition.status;
    if (same && before.reason === condition.reason && before.message === condition.message) return before;
    return { ...condition, lastTransitionTime: (same ? before.lastTransitionTime : undefined) ?? time };
  });
}

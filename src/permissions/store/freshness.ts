/** Whether a snapshot may decide (permissions §10.2). */
export type Freshness = "NOT_READY" | "FRESH" | "STALE" | "EXPIRED" | "REVOKED";

/** What freshness depends on besides age. */
export interface FreshnessLimits {
  readonly freshnessWindowSeconds: number;
  readonly maxOfflineSeconds: number;
}

/**
 * Freshness of a held snapshot by age: monotonic milliseconds since its last verified statement, so that the wall clock may jump.
 */
export function freshnessAt(ageMs: number, limits: FreshnessLimits): "FRESH" | "STALE" | "EXPIRED" {
  if (ageMs > limits.maxOfflineSeconds * 1000) return "EXPIRED";
  return ageMs > limits.freshnessWindowSeconds * 1000 ? "STALE" : "FRESH";
}

/** Milliseconds until freshness changes by itself; undefined when it no longer does. */
export function untilNextState(ageMs: number, limits: FreshnessLimits): number | undefined {
  switch (freshnessAt(ageMs, limits)) {
    case "FRESH":
      return Math.min(limits.freshnessWindowSeconds, limits.maxOfflineSeconds) * 1000 - ageMs + 1;
    case "STALE":
      return limits.maxOfflineSeconds * 1000 - ageMs + 1;
    case "EXPIRED":
      return undefined;
  }
}

import { type Consistency, Consistency_Mode } from "../../api/gen/ontai/security/v1alpha1/permission_pb.ts";
import type { Clock } from "../../base/clock.ts";
import { parseConsistencyToken } from "../snapshot/snapshot-version.ts";
import { comparePositions } from "../snapshot/snapshot-version.ts";
import type { SnapshotReader } from "../store/snapshot-reader.ts";
import type { FieldViolations } from "./field-violations.ts";

/** Longest wait for a requirement, milliseconds (permissions §11.1). */
export const MAX_WAIT_MS = 2_000;

/** What the snapshot behind an answer must satisfy. */
export interface Requirement {
  readonly waitMs: number;
  /** True while the store meets it. */
  met(store: SnapshotReader): boolean;
}

/** Reads a consistency block; undefined when anything will do. */
export function requirementOf(message: Consistency | undefined, violations: FieldViolations): Requirement | undefined {
  if (message === undefined) return undefined;
  const { waitMs } = message;
  if (waitMs > MAX_WAIT_MS) violations.add("consistency.waitMs", `is at most ${MAX_WAIT_MS}, found ${waitMs}`);
  switch (message.mode) {
    case Consistency_Mode.MODE_UNSPECIFIED:
    case Consistency_Mode.MINIMIZE_LATENCY:
      return undefined;
    case Consistency_Mode.AT_LEAST_AS_FRESH: {
      const wanted = parseConsistencyToken(message.token);
      if (wanted === undefined) {
        violations.add("consistency.token", "is the consistencyToken of an earlier answer");
        return undefined;
      }
      return {
        waitMs,
        met: ({ current }) => current !== undefined && comparePositions(current.statement, wanted) >= 0,
      };
    }
    case Consistency_Mode.MAX_STALENESS: {
      const seconds = message.maxStalenessSeconds;
      if (seconds === 0) violations.add("consistency.maxStalenessSeconds", "is at least 1 with MAX_STALENESS");
      return {
        waitMs,
        met: (store) => store.current !== undefined && store.state().ageMs <= seconds * 1000,
      };
    }
    case Consistency_Mode.FULLY_FRESH:
      return {
        waitMs,
        met: (store) => {
          const { freshness, degraded } = store.state();
          const { current, floor } = store;
          const newest =
            current !== undefined &&
            (floor.accepted === undefined || comparePositions(current.statement, floor.accepted) >= 0);
          return freshness === "FRESH" && !degraded && newest;
        },
      };
    default:
      violations.add("consistency.mode", "is a mode this service knows");
      return undefined;
  }
}

/** Waits until the store meets a requirement, at most its waitMs. Resolves with whether it does. */
export async function waitFor(
  requirement: Requirement,
  store: SnapshotReader,
  clock: Clock,
  signal: AbortSignal,
): Promise<boolean> {
  if (requirement.met(store) || requirement.waitMs === 0) return requirement.met(store);
  const wake = new AbortController();
  const stop = store.subscribe(() => {
    if (requirement.met(store)) wake.abort();
  });
  try {
    await clock.sleep(requirement.waitMs, AbortSignal.any([signal, wake.signal]));
  } catch {
    // woken: the requirement is met, or the caller went away
  } finally {
    stop();
  }
  return requirement.met(store);
}

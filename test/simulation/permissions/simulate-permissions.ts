import { type RunOptions, type RunResult, simulateWith, sizeIn } from "../simulation.ts";
import { PermissionPlane } from "./permission-plane.ts";
import { type PermissionAction, permissionSchedule } from "./permission-schedule.ts";

/** Options of {@link simulatePermissions}. */
export interface PermissionRunOptions extends RunOptions {
  /** Instead of the schedule of the seed; for shrinking. */
  readonly permissionSchedule?: readonly PermissionAction[];
}

/** Runs one seed of the federation with its permission plane: the same seed and options always do the same. */
export function simulatePermissions(seed: number, options: PermissionRunOptions = {}): Promise<RunResult> {
  const schedule = options.permissionSchedule ?? permissionSchedule(seed, sizeIn(seed, options));
  return simulateWith(seed, { ...options, plane: (fleet) => new PermissionPlane(fleet, schedule) });
}

import type { SurfaceReport } from "../../../permissions/surface/compare-surface.ts";

/** What the agent knows of its cluster's RBAC, between the loop that finds it out and the report to the hub. */
export class SurfaceFacts {
  /** Undefined before the first comparison. */
  report: SurfaceReport | undefined;
  /** `localProvisioningStatus`; empty before the first look. */
  provisioning = "";

  /** Takes in the outcome of a look; true when it says something else than before. */
  say(report: SurfaceReport | undefined, provisioning: string): boolean {
    const changed = this.provisioning !== provisioning || JSON.stringify(this.report) !== JSON.stringify(report);
    this.report = report;
    this.provisioning = provisioning;
    return changed;
  }
}

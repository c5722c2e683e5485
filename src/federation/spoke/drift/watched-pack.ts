import { packDriftSignalName } from "../../../api/names.ts";
import type { PackManifest } from "../../../packs/manifest/pack-manifest.ts";
import { type DriftedObject, driftSummary, type PackCheck } from "../../../packs/drift/check-pack.ts";
import { identityOf } from "../../../packs/artifact/pack-object.ts";
import type { FactOutbox } from "../ports.ts";
import type { EndedCorrection } from "../items/pack/pack-attempts.ts";
import { driftedResource, MAX_REPORTED_DRIFT } from "../items/pack/receipt-report.ts";
import { type Debounce, debounce, type DriftStatus, UNSETTLED } from "./drift-debounce.ts";

/** A drifted object with when it was first seen so. */
export interface SeenDrift extends DriftedObject {
  readonly firstSeenMs: number;
}

/** What drift detection knows of one pack. Only the detector changes it. */
export class WatchedPack {
  readonly name: string;
  /** Objects to look at soon, by identity. */
  readonly dirty = new Set<string>();
  /** What the newest checks found, by identity. */
  readonly drifted = new Map<string, SeenDrift>();
  /** Monotonic times, milliseconds. */
  nextFullMs = 0;
  nextExistenceMs = 0;
  recheckMs = Number.POSITIVE_INFINITY;
  /** Why the last check was incomplete. */
  unreadable = "";
  lastCorrection: EndedCorrection | undefined;
  /** A report is owed whatever the next check finds. */
  mustReport = false;
  /** Wall time of the last check that was written down, Unix milliseconds. */
  lastWrittenMs = 0;
  /** When the drift that is or was reported was first seen, Unix milliseconds. */
  #observedMs = 0;
  /** When the last check counted, monotonic milliseconds. */
  #countedMs = Number.NEGATIVE_INFINITY;
  #debounce: Debounce = UNSETTLED;

  constructor(name: string, settled: DriftStatus | undefined) {
    this.name = name;
    if (settled !== undefined) this.#debounce = { settled, consecutive: 0 };
  }

  /** When something is to be done next, monotonic milliseconds. */
  get dueMs(): number {
    return Math.min(this.nextFullMs, this.nextExistenceMs, this.recheckMs);
  }

  get settled(): DriftStatus | undefined {
    return this.#debounce.settled;
  }

  get consecutive(): number {
    return this.#debounce.consecutive;
  }

  /** True while one more check is needed to be sure. */
  get unsure(): boolean {
    return this.#debounce.seen !== this.#debounce.settled;
  }

  /**
   * Takes in a check of everything, or of `only`. Returns whether the settled status changed.
   *
   * @param at wall and monotonic time of the check, and how far checks must be apart to count as two, milliseconds
   */
  absorb(
    check: PackCheck,
    only: ReadonlySet<string> | undefined,
    at: { readonly nowMs: number; readonly monotonicMs: number; readonly spacingMs: number },
  ): boolean {
    const { nowMs } = at;
    const found = new Map(check.drifted.map((drifted) => [identityOf(drifted.resource), drifted]));
    for (const identity of this.drifted.keys()) {
      if ((only === undefined || only.has(identity)) && !found.has(identity)) this.drifted.delete(identity);
    }
    if (this.drifted.size === 0 && found.size > 0) this.#observedMs = nowMs;
    for (const [identity, drifted] of found) {
      const firstSeenMs = this.drifted.get(identity)?.firstSeenMs ?? nowMs;
      this.drifted.set(identity, { ...drifted, firstSeenMs });
    }
    this.unreadable = check.unreadable;
    const seen = this.drifted.size > 0 ? "Drifted" : check.status === "Unknown" ? "Unknown" : "InSync";
    const { state, transition } = debounce(this.#debounce, seen, at.monotonicMs - this.#countedMs >= at.spacingMs);
    if (state !== this.#debounce) this.#countedMs = at.monotonicMs;
    this.#debounce = state;
    return transition;
  }

  /** What the settled status says, for people. */
  summary(): string {
    if (this.settled === "InSync") return "";
    return driftSummary({
      status: this.settled ?? "Unknown",
      drifted: [...this.drifted.values()],
      unreadable: this.unreadable,
      checked: 0,
    });
  }

  /** The fact for the hub. Only drifted and healthy are facts; a check that failed says nothing. */
  report(manifest: PackManifest): Parameters<FactOutbox["drift"]>[0] {
    const drifted = [...this.drifted.values()];
    const { id = "", applied = false, error = "" } = this.lastCorrection ?? {};
    return {
      signalName: packDriftSignalName(this.name),
      driftClass: "PackResources",
      affectedGroup: "seam.ontai.dev",
      affectedKind: "PackDelivery",
      affectedNamespace: manifest.clusterPackNamespace,
      affectedName: manifest.clusterPackRef,
      declared: "",
      observed: "",
      reason: drifted.length === 0 ? "in sync" : this.summaryOf(drifted),
      driftedResources: drifted.slice(0, MAX_REPORTED_DRIFT).map((entry) => driftedResource(entry, entry.firstSeenMs)),
      observedUnixMs: BigInt(Math.round(this.#observedMs)),
      healthy: drifted.length === 0,
      packInstanceRef: this.name,
      lastCorrectionId: id,
      lastCorrectionApplied: applied,
      lastCorrectionError: error.slice(0, 1024),
      consecutiveChecks: this.consecutive,
    };
  }

  summaryOf(drifted: readonly DriftedObject[]): string {
    return driftSummary({ status: "Drifted", drifted, unreadable: "", checked: 0 });
  }
}

import { isTrue } from "../../api/conditions.ts";
import type { DriftSignal } from "../../api/kinds/drift-signal.ts";
import type { PackDelivery } from "../../api/kinds/pack-delivery.ts";
import type { PackExecution } from "../../api/kinds/pack-execution.ts";
import type { PackInstalled } from "../../api/kinds/pack-installed.ts";
import { CONTROLS, correctionSecretName } from "../../api/names.ts";

/** What the corrector sees of one signal. */
export interface CorrectionView {
  readonly signal: DriftSignal;
  readonly installed: PackInstalled | undefined;
  readonly delivery: PackDelivery | undefined;
  readonly execution: PackExecution | undefined;
  /** Some pack of the cluster violates security: nothing is started there (gate 2). */
  readonly clusterHold: boolean;
  /** While the channel is degraded no correction starts. */
  readonly channelDegraded: boolean;
  /** Wall clock, Unix milliseconds. */
  readonly nowMs: number;
}

/** How long after a delivery the tenant may take to see that the drift is gone with it: two checks and a way back, with reserve. */
const DELIVERY_SETTLE_MS = 30_000;

/** What the corrector does about a signal (dispatcher §10.3). */
export type Admission =
  | { readonly decision: "ignore" }
  | { readonly decision: "wait" }
  | { readonly decision: "held"; readonly reason: "Manual" | "Paused" | "Revoked" | "Superseded" | "ClusterHold" }
  | { readonly decision: "unavailable" }
  | { readonly decision: "admit"; readonly jobRef: string };

/** Decides. Pure. */
export function admit(view: CorrectionView): Admission {
  const { signal, installed, delivery, execution } = view;
  const { affectedCRRef, driftClass, state } = signal.spec;
  if (affectedCRRef.kind !== "PackDelivery" || (driftClass !== undefined && driftClass !== "PackResources"))
    return { decision: "ignore" };
  const recorded = state === "queued" && installed !== undefined && isDelivery(signal, installed);
  if ((state !== "delivered" && !recorded) || isTrue(signal.status?.conditions, "TerminalDrift"))
    return { decision: "ignore" };
  if (installed === undefined || installed.metadata.deletionTimestamp !== undefined || delivery === undefined)
    return { decision: "unavailable" };
  const held = holdReason(view, delivery);
  if (held !== undefined) return { decision: "held", reason: held };
  if (view.channelDegraded) return { decision: "wait" };
  // An attempt that runs applies the pack anyway: it is recorded, and no second one started.
  if (execution?.status?.phase === "Running")
    return recorded ? { decision: "wait" } : { decision: "admit", jobRef: execution.metadata.name };
  // The recorded delivery is over and drift is still open: it did not help, so a correction is due. No attempt of our own has failed.
  const endedAt = recorded ? Date.parse(execution?.status?.completedAt ?? "") : Number.NaN;
  if (view.nowMs - endedAt < DELIVERY_SETTLE_MS) return { decision: "wait" };
  if (installed.status?.serial === undefined) return { decision: "wait" };
  return { decision: "admit", jobRef: correctionSecretName(installed.metadata.name) };
}

/** True when the signal was queued with the name of a delivery that was running. */
function isDelivery({ spec }: DriftSignal, { metadata }: PackInstalled): boolean {
  return spec.correctionJobRef !== undefined && spec.correctionJobRef !== correctionSecretName(metadata.name);
}

function holdReason(
  view: CorrectionView,
  delivery: PackDelivery,
): Extract<Admission, { readonly decision: "held" }>["reason"] | undefined {
  if (delivery.spec.lifecyclePolicies?.driftCorrection === "Manual") return "Manual";
  if (delivery.metadata.annotations?.[CONTROLS.paused] === "true") return "Paused";
  if (isTrue(delivery.status?.conditions, "Revoked") || delivery.metadata.annotations?.[CONTROLS.revoke] !== undefined)
    return "Revoked";
  if (delivery.metadata.deletionTimestamp !== undefined) return "Superseded";
  return view.clusterHold ? "ClusterHold" : undefined;
}

import type { ConditionUpdate } from "../../../api/conditions.ts";
import type { DriftSignal, DriftSignalSpec } from "../../../api/kinds/drift-signal.ts";
import { correctionSecretName } from "../../../api/names.ts";
import type { DriftedResourceRef } from "../../../api/kinds/drifted-resource-ref.ts";
import { DriftedResource_Change, type DriftReport } from "../../../api/gen/conductor/federation/v1alpha1/facts_pb.ts";
import { rfc3339Seconds } from "../../../base/clock.ts";
import { isJsonObject } from "../../../base/json.ts";
import type { DriftBook, DriftState } from "./next-drift-state.ts";

/** The hub's bookkeeping on a DriftSignal: written with the spec in one conditional update. */
export const DRIFT_BOOK = "seam.ontai.dev/drift-book";

/** Longest reason, characters. */
const MAX_REASON = 4096;
/** Most objects of one signal (conductor §9.2). */
const MAX_RESOURCES = 20;

/** What a signal says to the machine. */
export function stateOf(signal: DriftSignal): DriftState {
  const { spec } = signal;
  const lastAttemptAtMs = spec.lastAttemptAt === undefined ? undefined : Date.parse(spec.lastAttemptAt);
  return {
    state: spec.state,
    correlationId: spec.correlationID,
    observedAtMs: Date.parse(spec.observedAt),
    escalationCounter: spec.escalationCounter ?? 0,
    ...(lastAttemptAtMs === undefined ? {} : { lastAttemptAtMs }),
    ...(isDelivery(spec) ? { byDelivery: true } : {}),
    book: readBook(signal.metadata.annotations?.[DRIFT_BOOK]),
  };
}

/** The corrector records an attempt that runs anyway by the name of its PackExecution (dispatcher §10.3). */
function isDelivery({ correctionJobRef, packInstanceRef }: DriftSignalSpec): boolean {
  return (
    correctionJobRef !== undefined &&
    packInstanceRef !== undefined &&
    correctionJobRef !== correctionSecretName(packInstanceRef)
  );
}

/** The spec that says `state`; `report` refreshes what is drifted, `affected` is whose drift it is. */
export function specOf(
  state: DriftState,
  current: DriftSignalSpec | undefined,
  facts: Pick<DriftSignalSpec, "affectedCRRef" | "driftReason"> & Partial<DriftSignalSpec>,
): DriftSignalSpec {
  // A new event starts without the attempts of the old one.
  const { correctionJobRef: _ref, lastAttemptAt: _at, ...fresh } = current ?? {};
  const kept = current?.correlationID === state.correlationId ? current : fresh;
  return {
    ...kept,
    ...facts,
    state: state.state,
    correlationID: state.correlationId,
    observedAt:
      current?.correlationID === state.correlationId ? current.observedAt : rfc3339Seconds(state.observedAtMs),
    escalationCounter: state.escalationCounter,
  };
}

/** What a report says beyond the state: only a drifted one replaces the list, so that a confirmed signal shows what it was about. */
export function factsOf(
  report: DriftReport,
  cluster: string,
  affectedCRRef: DriftSignalSpec["affectedCRRef"],
  current: DriftSignalSpec | undefined,
): Parameters<typeof specOf>[2] {
  const base = { affectedCRRef, reportedBy: cluster };
  if (report.healthy) return { ...base, driftReason: current?.driftReason ?? "in sync" };
  return {
    ...base,
    driftReason: report.reason.slice(0, MAX_REASON) || "drift",
    ...classOf(report.driftClass),
    ...(report.declared === "" ? {} : { declared: report.declared }),
    ...(report.observed === "" ? {} : { observed: report.observed }),
    ...(report.packInstanceRef === "" ? {} : { packInstanceRef: report.packInstanceRef }),
    driftedResources: report.driftedResources.slice(0, MAX_RESOURCES).flatMap(driftedRef),
  };
}

/** Conditions of the signal itself (resources-seam §7.2). */
export function conditionsOf(state: DriftState, nowMs: number, correctorAbsentMs: number): readonly ConditionUpdate[] {
  const { book } = state;
  const waiting =
    state.state === "delivered" && book.terminal !== true && nowMs - (book.deliveredAtMs ?? nowMs) >= correctorAbsentMs;
  return [
    {
      type: "Delivered",
      status: state.state === "pending" ? "False" : "True",
      reason: state.state === "pending" ? "NotAcknowledged" : "Acknowledged",
    },
    ...(book.lastAttempt === undefined
      ? []
      : [
          {
            type: "Corrected",
            status: book.lastAttempt === "Succeeded" ? ("True" as const) : ("False" as const),
            reason: `Attempt${book.lastAttempt}`,
            message: `${state.escalationCounter} failed corrections`,
          },
        ]),
    terminalCondition(book.terminal === true, state.escalationCounter),
    {
      type: "CorrectorAbsent",
      status: waiting ? "True" : "False",
      reason: waiting ? "NotPickedUp" : "PickedUp",
      message: waiting ? `no corrector took it up within ${correctorAbsentMs / 60_000} min` : "",
    },
  ];
}

/** TerminalDrift, as it stands on the signal, the PackInstalled and the PackDelivery. */
export function terminalCondition(terminal: boolean, failed: number): ConditionUpdate {
  return terminal
    ? {
        type: "TerminalDrift",
        status: "True",
        reason: "EscalationThresholdReached",
        message: `${failed} corrections failed; set seam.ontai.dev/redeploy on the PackDelivery to try again`,
      }
    : { type: "TerminalDrift", status: "False", reason: "Reset", message: "" };
}

function classOf(driftClass: string): Pick<DriftSignalSpec, "driftClass"> {
  switch (driftClass) {
    case "PackResources":
    case "TalosVersion":
    case "TalosVersionMixed":
    case "KubernetesVersion":
    case "RunnerConfigMissing":
      return { driftClass };
    default:
      return {};
  }
}

const CHANGES: Readonly<Record<number, DriftedResourceRef["change"]>> = {
  [DriftedResource_Change.MISSING]: "Missing",
  [DriftedResource_Change.MODIFIED]: "Modified",
  [DriftedResource_Change.NOT_OWNED]: "NotOwned",
};

function driftedRef({ resource, change }: DriftReport["driftedResources"][number]): readonly DriftedResourceRef[] {
  const known = CHANGES[change];
  if (resource === undefined || known === undefined) return [];
  const { apiVersion, kind, name, namespace } = resource;
  return [{ apiVersion, kind, name, ...(namespace === "" ? {} : { namespace }), change: known }];
}

function readBook(text: string | undefined): DriftBook {
  if (text === undefined) return {};
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return {}; // not the hub's hand: as good as nothing
  }
  if (!isJsonObject(value)) return {};
  const { deliveredAtMs, confirmedAtMs, reset, lastAttempt, terminal, redeploySeen } = value;
  const succeeded: unknown = value["succeeded"];
  return {
    ...(typeof deliveredAtMs === "number" ? { deliveredAtMs } : {}),
    ...(typeof confirmedAtMs === "number" ? { confirmedAtMs } : {}),
    ...(reset === true ? { reset } : {}),
    ...(lastAttempt === "Succeeded" || lastAttempt === "Failed" ? { lastAttempt } : {}),
    ...(terminal === true ? { terminal } : {}),
    ...(typeof redeploySeen === "string" ? { redeploySeen } : {}),
    ...readSucceeded(succeeded),
  };
}

function readSucceeded(value: unknown): Pick<DriftBook, "succeeded"> {
  if (!isJsonObject(value)) return {};
  const { id, atMs } = value;
  return typeof id === "string" && typeof atMs === "number" ? { succeeded: { id, atMs } } : {};
}

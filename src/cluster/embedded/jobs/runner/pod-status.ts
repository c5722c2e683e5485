import type { BuiltinCondition, PodObject } from "../../../../api/builtin.ts";
import type { JsonObject } from "../../../../base/json.ts";
import type { ExitReport } from "./exit-report.ts";

/** `v1.PodStatus` as the runner writes it. */
export type PodStatus = NonNullable<PodObject["status"]> & {
  readonly qosClass: string;
  readonly hostIP?: string;
  readonly podIPs?: readonly { readonly ip: string }[];
};

/** Why a pod ended that was not ended by its program. */
export interface Disruption {
  /** Of the pod and of its condition `DisruptionTarget`, by which a podFailurePolicy may ignore it. */
  readonly reason: string;
  readonly message: string;
}

interface Container {
  readonly name: string;
  readonly image: string;
}

function containerOf(pod: PodObject): Container {
  const [container] = pod.spec.containers;
  return { name: container?.name ?? "", image: container?.image ?? "" };
}

/** How often the program of a pod was started again. */
export function restartCount(pod: PodObject): number {
  const [status] = pod.status?.containerStatuses ?? [];
  return Number(status?.["restartCount"] ?? 0);
}

function containerStatus(pod: PodObject, restarts: number, state: JsonObject, running: boolean): JsonObject {
  const { name, image } = containerOf(pod);
  return { name, image, imageID: "", ready: running, started: running, restartCount: restarts, lastState: {}, state };
}

function conditions(pod: PodObject, time: string, wanted: readonly BuiltinCondition[]): BuiltinCondition[] {
  return wanted.map((condition) => {
    const before = pod.status?.conditions?.find((other) => other.type === condition.type);
    const lastTransitionTime = before?.status === condition.status ? (before.lastTransitionTime ?? time) : time;
    return { ...condition, lastTransitionTime };
  });
}

const SCHEDULED: BuiltinCondition = { type: "PodScheduled", status: "True" };
const INITIALIZED: BuiltinCondition = { type: "Initialized", status: "True" };

function readiness(ready: boolean, reason?: string): readonly BuiltinCondition[] {
  const rest = { status: ready ? "True" : "False", ...(reason === undefined ? {} : { reason }) } as const;
  return [
    { type: "Ready", ...rest },
    { type: "ContainersReady", ...rest },
  ];
}

/** A pod that this cluster cannot run; `problem` says why to a person. */
export function unschedulable(pod: PodObject, problem: string, time: string): PodStatus {
  const message = `0/1 nodes are available: ${problem}.`;
  return {
    phase: "Pending",
    reason: "Unschedulable",
    message,
    qosClass: "BestEffort",
    conditions: conditions(pod, time, [{ type: "PodScheduled", status: "False", reason: "Unschedulable", message }]),
  };
}

/** A pod whose program waits. */
export function waiting(pod: PodObject, restarts: number, reason: string, message: string, time: string): PodStatus {
  return {
    phase: restarts > 0 ? "Running" : "Pending",
    qosClass: "BestEffort",
    startTime: pod.status?.startTime ?? time,
    conditions: conditions(pod, time, [SCHEDULED, INITIALIZED, ...readiness(false, "ContainersNotReady")]),
    containerStatuses: [containerStatus(pod, restarts, { waiting: { reason, message } }, false)],
  };
}

/** A pod whose program runs. */
export function running(pod: PodObject, restarts: number, startedAt: string, time: string): PodStatus {
  return {
    phase: "Running",
    qosClass: "BestEffort",
    startTime: pod.status?.startTime ?? time,
    hostIP: "127.0.0.1",
    podIP: "127.0.0.1",
    podIPs: [{ ip: "127.0.0.1" }],
    conditions: conditions(pod, time, [SCHEDULED, INITIALIZED, ...readiness(true)]),
    containerStatuses: [containerStatus(pod, restarts, { running: { startedAt } }, true)],
  };
}

/** A pod whose program has ended; without a report nobody knows how. */
export function finished(
  pod: PodObject,
  report: ExitReport | undefined,
  disruption: Disruption | undefined,
  time: string,
): PodStatus {
  const exitCode = report?.exitCode ?? 137;
  const succeeded = exitCode === 0 && disruption === undefined;
  const startedAt = report?.startedAt ?? pod.status?.startTime ?? time;
  const terminated: JsonObject = {
    exitCode,
    reason: succeeded
      ? "Completed"
      : report
        ? report.reason === "Completed"
          ? "Error"
          : report.reason
        : "ContainerStatusUnknown",
    ...(report?.signal === undefined ? {} : { signal: exitCode - 128 }),
    ...(report && report.message !== "" ? { message: report.message } : {}),
    startedAt,
    finishedAt: report?.finishedAt ?? time,
  };
  const disrupted: readonly BuiltinCondition[] = disruption
    ? [{ type: "DisruptionTarget", status: "True", reason: disruption.reason, message: disruption.message }]
    : [];
  return {
    phase: succeeded ? "Succeeded" : "Failed",
    ...(disruption ? { reason: disruption.reason, message: disruption.message } : {}),
    qosClass: "BestEffort",
    startTime: pod.status?.startTime ?? startedAt,
    hostIP: "127.0.0.1",
    conditions: conditions(pod, time, [
      SCHEDULED,
      INITIALIZED,
      ...readiness(false, succeeded ? "PodCompleted" : "PodFailed"),
      ...disrupted,
    ]),
    containerStatuses: [containerStatus(pod, restartCount(pod), { terminated }, false)],
  };
}

import type { BuiltinCondition, JobObject, PodObject } from "../../../../api/builtin.ts";
import { rfc3339Seconds } from "../../../../base/clock.ts";
import { judgeFailure } from "./pod-failure.ts";

/** Keeps a pod until it is counted (the job controller's own). */
export const TRACKING_FINALIZER = "batch.kubernetes.io/job-tracking";
/** Time before the pod that replaces the first failed one, doubled with each further failure. */
const BACKOFF_BASE_MS = 10_000;
const BACKOFF_CAP_MS = 6 * 60_000;

/** What is to be done for a Job, all of it in one step. */
export interface JobPlan {
  /** New pods to create. */
  readonly create: number;
  /** Pods that must go, by name. */
  readonly remove: readonly string[];
  /** Pods that are counted with this step: their tracking finalizer goes in the same commit as the status. */
  readonly counted: readonly string[];
  readonly status: NonNullable<JobObject["status"]>;
  /** When to look again although nothing happens. */
  readonly againMs: number | undefined;
}

interface Counts {
  readonly succeeded: number;
  readonly failed: number;
  readonly counted: readonly string[];
  /** Message of a rule that fails the Job. */
  readonly failJob: string | undefined;
  readonly lastFailureMs: number;
}

type Verdict =
  | { readonly phase: "Complete" }
  | { readonly phase: "Failed"; readonly reason: string; readonly message: string }
  | { readonly phase: "Running" };

/** Whether a Job has come to its end. */
export function isFinished({ status }: JobObject): boolean {
  return (
    status?.conditions?.some(({ type, status: is }) => (type === "Complete" || type === "Failed") && is === "True") ??
    false
  );
}

function isTerminal({ status }: PodObject): boolean {
  return status?.phase === "Succeeded" || status?.phase === "Failed";
}

function isTracked({ metadata }: PodObject): boolean {
  return metadata.finalizers?.includes(TRACKING_FINALIZER) ?? false;
}

/**
 * The job controller as a pure function: from a Job, its pods and the time to what is to be done (batch/v1: suspend, backoffLimit,
 * podFailurePolicy, activeDeadlineSeconds, parallelism and completions of NonIndexed Jobs).
 */
export function planJob(job: JobObject, pods: readonly PodObject[], nowMs: number): JobPlan {
  const time = rfc3339Seconds(nowMs);
  const suspended = job.spec.suspend === true;
  const counts = count(job, pods, suspended);
  const active = pods.filter((pod) => !isTerminal(pod) && pod.metadata.deletionTimestamp === undefined);
  const startTime = suspended ? undefined : (job.status?.startTime ?? time);
  const verdict: Verdict = suspended
    ? { phase: "Running" }
    : judge(job, counts, active, nowMs - Date.parse(startTime ?? time));
  const conditions = conditionsOf(job, verdict, suspended, time);
  const over = verdict.phase !== "Running";
  const wanted = suspended || over ? 0 : wantedPods(job, counts.succeeded);
  const removed = active.slice(wanted).map((pod) => pod.metadata.name);
  // A pod that is being ended keeps its place: a program of ours is never started while the one before it may still run.
  const ending = pods.filter((pod) => !isTerminal(pod) && pod.metadata.deletionTimestamp !== undefined).length;
  const missing = Math.max(0, wanted - active.length - ending);
  const backoffMs = missing > 0 ? backoffLeft(counts, nowMs) : 0;
  const create = backoffMs > 0 ? 0 : missing;
  const running = active.length - removed.length;
  const deadlineMs = over || suspended ? undefined : deadlineLeft(job, startTime ?? time, nowMs);
  const waits = [backoffMs > 0 ? backoffMs : undefined, deadlineMs].filter((ms) => ms !== undefined);
  return {
    create,
    remove: removed,
    counted: counts.counted,
    status: {
      ...(running + create > 0 ? { active: running + create } : {}),
      ...(running > 0
        ? { ready: active.slice(0, running).filter((pod) => pod.status?.phase === "Running").length }
        : {}),
      ...(counts.succeeded > 0 ? { succeeded: counts.succeeded } : {}),
      ...(counts.failed > 0 ? { failed: counts.failed } : {}),
      ...(startTime === undefined ? {} : { startTime }),
      ...(verdict.phase === "Complete" ? { completionTime: time } : {}),
      ...(conditions.length > 0 ? { conditions } : {}),
    },
    againMs: waits.length > 0 ? Math.min(...waits) : undefined,
  };
}

/** Pods are counted once: those that still have their finalizer come on top of what the status says. */
function count(job: JobObject, pods: readonly PodObject[], suspended: boolean): Counts {
  let succeeded = job.status?.succeeded ?? 0;
  let failed = job.status?.failed ?? 0;
  let failJob: string | undefined;
  let lastFailureMs = 0;
  const counted: string[] = [];
  for (const pod of pods) {
    if (!isTerminal(pod)) continue;
    const failedPod = pod.status?.phase === "Failed";
    if (failedPod) lastFailureMs = Math.max(lastFailureMs, finishedAt(pod));
    if (!isTracked(pod)) continue;
    counted.push(pod.metadata.name);
    if (!failedPod) succeeded++;
    // What suspending ended is not the Job's failure.
    else if (!suspended || pod.metadata.deletionTimestamp === undefined) {
      const verdict = judgeFailure(job, pod);
      if (verdict.action !== "Ignore") failed++;
      if (verdict.action === "FailJob") failJob ??= verdict.message;
    }
  }
  return { succeeded, failed, counted, failJob, lastFailureMs };
}

function finishedAt(pod: PodObject): number {
  const times = (pod.status?.containerStatuses ?? []).map((status) => {
    const { state } = status as { readonly state?: { readonly terminated?: { readonly finishedAt?: string } } };
    return Date.parse(state?.terminated?.finishedAt ?? "");
  });
  return Math.max(0, ...times.filter((time) => !Number.isNaN(time)));
}

function judge(job: JobObject, counts: Counts, active: readonly PodObject[], runningMs: number): Verdict {
  const { backoffLimit = 6, activeDeadlineSeconds, completions } = job.spec;
  if (counts.failJob !== undefined) return { phase: "Failed", reason: "PodFailurePolicy", message: counts.failJob };
  const restarts = active.reduce((sum, pod) => sum + restartsOf(pod), 0);
  if (counts.failed > backoffLimit || (restarts > 0 && restarts + counts.failed > backoffLimit)) {
    return { phase: "Failed", reason: "BackoffLimitExceeded", message: "Job has reached the specified backoff limit" };
  }
  if (activeDeadlineSeconds !== undefined && runningMs >= activeDeadlineSeconds * 1000) {
    return { phase: "Failed", reason: "DeadlineExceeded", message: "Job was active longer than specified deadline" };
  }
  const complete =
    completions === undefined ? counts.succeeded > 0 && active.length === 0 : counts.succeeded >= completions;
  return complete ? { phase: "Complete" } : { phase: "Running" };
}

function restartsOf(pod: PodObject): number {
  return (pod.status?.containerStatuses ?? []).reduce((sum, status) => sum + Number(status["restartCount"] ?? 0), 0);
}

function wantedPods(job: JobObject, succeeded: number): number {
  const { parallelism = 1, completions } = job.spec;
  // A work queue is drained by the pods that are there: after the first success no new one is begun.
  if (completions === undefined) return succeeded > 0 ? 0 : parallelism;
  return Math.min(parallelism, completions - succeeded);
}

function backoffLeft({ failed, lastFailureMs }: Counts, nowMs: number): number {
  if (failed === 0 || lastFailureMs === 0) return 0;
  const delay = Math.min(BACKOFF_BASE_MS * 2 ** Math.min(failed - 1, 30), BACKOFF_CAP_MS);
  return Math.max(0, lastFailureMs + delay - nowMs);
}

function deadlineLeft(job: JobObject, startTime: string, nowMs: number): number | undefined {
  const { activeDeadlineSeconds } = job.spec;
  return activeDeadlineSeconds === undefined
    ? undefined
    : Math.max(1, Date.parse(startTime) + activeDeadlineSeconds * 1000 - nowMs);
}

function conditionsOf(job: JobObject, verdict: Verdict, suspended: boolean, time: string): readonly BuiltinCondition[] {
  const conditions: BuiltinCondition[] = [...(job.status?.conditions ?? [])];
  const set = (type: string, status: "True" | "False", reason: string, message: string): void => {
    const at = conditions.findIndex((condition) => condition.type === type);
    const before = conditions[at];
    if (before?.status === status && before.reason === reason && before.message === message) return;
    const lastTransitionTime = before?.status === status ? (before.lastTransitionTime ?? time) : time;
    const condition = { type, status, reason, message, lastProbeTime: time, lastTransitionTime } as const;
    if (at < 0) conditions.push(condition);
    else conditions[at] = condition;
  };
  if (suspended) set("Suspended", "True", "JobSuspended", "Job suspended");
  else if (conditions.some(({ type, status }) => type === "Suspended" && status === "True")) {
    set("Suspended", "False", "JobResumed", "Job resumed");
  }
  if (verdict.phase === "Complete") {
    const why = ["CompletionsReached", "Reached expected number of succeeded pods"] as const;
    set("SuccessCriteriaMet", "True", ...why);
    set("Complete", "True", ...why);
  } else if (verdict.phase === "Failed") {
    set("FailureTarget", "True", verdict.reason, verdict.message);
    set("Failed", "True", verdict.reason, verdict.message);
  }
  return conditions;
}

import type {
  DaemonSetObject,
  DeploymentObject,
  JobObject,
  PersistentVolumeClaimObject,
  PodObject,
  ReplicaSetObject,
  StatefulSetObject,
} from "../../../api/builtin.ts";
import { isJsonObject } from "../../../base/json.ts";
import { mergeConditions, type NewCondition } from "./conditions.ts";
import { outcomeOf } from "./outcome.ts";

/** Where a workload is on its way: `started` when it was seen, `settled` when its start-up time has passed. */
export type Stage = "started" | "settled";

/** Computes the status that a workload's controller and kubelets would have written by now. `time` is `metav1.Time`. */
export type StatusRule<T> = (object: T, stage: Stage, time: string) => object;

/** Nodes a DaemonSet runs on. */
const NODES = 1;

function generationOf(object: { readonly metadata: { readonly generation?: number } }): number {
  return object.metadata.generation ?? 1;
}

function deploymentConditions(object: DeploymentObject, ready: boolean, failed: boolean): NewCondition[] {
  const { name } = object.metadata;
  const available: NewCondition = ready
    ? {
        type: "Available",
        status: "True",
        reason: "MinimumReplicasAvailable",
        message: "Deployment has minimum availability.",
      }
    : {
        type: "Available",
        status: "False",
        reason: "MinimumReplicasUnavailable",
        message: "Deployment does not have minimum availability.",
      };
  if (failed) {
    const message = `ReplicaSet "${name}-simulated" has timed out progressing.`;
    return [available, { type: "Progressing", status: "False", reason: "ProgressDeadlineExceeded", message }];
  }
  const message = ready
    ? `ReplicaSet "${name}-simulated" has successfully progressed.`
    : `ReplicaSet "${name}-simulated" is progressing.`;
  const reason = ready ? "NewReplicaSetAvailable" : "ReplicaSetUpdated";
  return [available, { type: "Progressing", status: "True", reason, message }];
}

export const deploymentStatus: StatusRule<DeploymentObject> = (object, stage, time) => {
  const outcome = outcomeOf(object, object.spec.template);
  const replicas = object.spec.replicas ?? 1;
  const ready = (stage === "settled" && outcome === "ready") || replicas === 0;
  const failed = stage === "settled" && outcome === "fail" && replicas > 0;
  const conditions = deploymentConditions(object, ready, failed);
  return {
    observedGeneration: generationOf(object),
    ...(replicas > 0 ? { replicas, updatedReplicas: replicas } : {}),
    ...(ready && replicas > 0 ? { readyReplicas: replicas, availableReplicas: replicas } : {}),
    ...(ready ? {} : { unavailableReplicas: replicas }),
    conditions: mergeConditions(object.status?.conditions, conditions, time),
  };
};

export const replicaSetStatus: StatusRule<ReplicaSetObject> = (object, stage) => {
  const replicas = object.spec.replicas ?? 1;
  const ready = stage === "settled" && outcomeOf(object, object.spec.template) === "ready";
  return {
    observedGeneration: generationOf(object),
    replicas,
    fullyLabeledReplicas: replicas,
    ...(ready ? { readyReplicas: replicas, availableReplicas: replicas } : {}),
  };
};

export const statefulSetStatus: StatusRule<StatefulSetObject> = (object, stage) => {
  const replicas = object.spec.replicas ?? 1;
  const ready = stage === "settled" && outcomeOf(object, object.spec.template) === "ready";
  const revision = `${object.metadata.name}-simulated-${generationOf(object)}`;
  const count = ready ? replicas : 0;
  return {
    observedGeneration: generationOf(object),
    replicas,
    readyReplicas: count,
    availableReplicas: count,
    currentReplicas: count,
    updatedReplicas: replicas,
    currentRevision: ready ? revision : (object.status?.currentRevision ?? revision),
    updateRevision: revision,
  };
};

export const daemonSetStatus: StatusRule<DaemonSetObject> = (object, stage) => {
  const ready = stage === "settled" && outcomeOf(object, object.spec.template) === "ready" ? NODES : 0;
  return {
    observedGeneration: generationOf(object),
    currentNumberScheduled: NODES,
    desiredNumberScheduled: NODES,
    numberMisscheduled: 0,
    updatedNumberScheduled: NODES,
    numberReady: ready,
    ...(ready > 0 ? { numberAvailable: ready } : { numberUnavailable: NODES }),
  };
};

export const jobStatus: StatusRule<JobObject> = (object, stage, time) => {
  const { spec, status } = object;
  const finished = status?.conditions?.some(
    (condition) => (condition.type === "Complete" || condition.type === "Failed") && condition.status === "True",
  );
  if (finished) return status ?? {};
  if (spec.suspend === true) {
    const suspended: NewCondition = {
      type: "Suspended",
      status: "True",
      reason: "JobSuspended",
      message: "Job suspended",
    };
    return { conditions: mergeConditions(status?.conditions, [suspended], time) };
  }
  const outcome = outcomeOf(object, object.spec.template);
  const startTime = status?.startTime ?? time;
  if (stage === "started" || outcome === "hang") return { active: spec.parallelism ?? 1, ready: 1, startTime };
  if (outcome === "fail") {
    const why = { reason: "BackoffLimitExceeded", message: "Job has reached the specified backoff limit" };
    const conditions: NewCondition[] = [
      { type: "FailureTarget", status: "True", ...why },
      { type: "Failed", status: "True", ...why },
    ];
    return {
      failed: (spec.backoffLimit ?? 6) + 1,
      startTime,
      conditions: mergeConditions(status?.conditions, conditions, time),
    };
  }
  const why = { reason: "CompletionsReached", message: "Reached expected number of succeeded pods" };
  const conditions: NewCondition[] = [
    { type: "SuccessCriteriaMet", status: "True", ...why },
    { type: "Complete", status: "True", ...why },
  ];
  return {
    succeeded: spec.completions ?? 1,
    startTime,
    completionTime: time,
    conditions: mergeConditions(status?.conditions, conditions, time),
  };
};

function podConditions(scheduled: boolean, ready: boolean, reason?: string): NewCondition[] {
  const readiness: NewCondition = { type: "Ready", status: ready ? "True" : "False", ...(reason ? { reason } : {}) };
  return [
    { type: "PodScheduled", status: scheduled ? "True" : "False" },
    { type: "Initialized", status: scheduled ? "True" : "False", ...(reason ? { reason } : {}) },
    { ...readiness, type: "ContainersReady" },
    readiness,
  ];
}

function containerStatuses(object: PodObject, state: object, ready: boolean): object[] {
  return object.spec.containers.map((container) => ({
    name: container.name,
    image: container.image ?? "",
    imageID: "",
    ready,
    started: ready,
    restartCount: 0,
    lastState: {},
    state,
  }));
}

export const podStatus: StatusRule<PodObject> = (object, stage, time) => {
  const { status, spec, metadata } = object;
  if (status?.phase === "Succeeded" || status?.phase === "Failed") return status;
  const outcome = outcomeOf(object);
  const startTime = status?.startTime ?? time;
  const base = { qosClass: "BestEffort", startTime };
  if (stage === "started" || outcome === "hang") {
    return {
      ...base,
      phase: "Pending",
      conditions: mergeConditions(status?.conditions, podConditions(true, false, "ContainersNotReady"), time),
      containerStatuses: containerStatuses(object, { waiting: { reason: "ContainerCreating" } }, false),
    };
  }
  const finishes = metadata.ownerReferences?.some((owner) => owner.kind === "Job") ?? false;
  const terminated = (exitCode: number, reason: string): object => ({
    terminated: { exitCode, reason, startedAt: startTime, finishedAt: time },
  });
  if (outcome === "fail" && spec.restartPolicy !== "Always") {
    return {
      ...base,
      phase: "Failed",
      conditions: mergeConditions(status?.conditions, podConditions(true, false, "PodFailed"), time),
      containerStatuses: containerStatuses(object, terminated(1, "Error"), false),
    };
  }
  if (outcome === "fail") {
    return {
      ...base,
      phase: "Running",
      conditions: mergeConditions(status?.conditions, podConditions(true, false, "ContainersNotReady"), time),
      containerStatuses: containerStatuses(object, { waiting: { reason: "CrashLoopBackOff" } }, false),
    };
  }
  if (finishes) {
    return {
      ...base,
      phase: "Succeeded",
      conditions: mergeConditions(status?.conditions, podConditions(true, false, "PodCompleted"), time),
      containerStatuses: containerStatuses(object, terminated(0, "Completed"), false),
    };
  }
  return {
    ...base,
    phase: "Running",
    podIP: "10.244.0.1",
    conditions: mergeConditions(status?.conditions, podConditions(true, true), time),
    containerStatuses: containerStatuses(object, { running: { startedAt: startTime } }, true),
  };
};

export const claimStatus: StatusRule<PersistentVolumeClaimObject> = (object, stage) => {
  if (object.status?.phase === "Bound") return object.status;
  switch (stage === "settled" ? outcomeOf(object) : "hang") {
    case "hang":
      return { phase: "Pending" };
    case "fail":
      return { phase: "Lost" };
    case "ready": {
      const requests = object.spec.resources?.["requests"];
      return {
        phase: "Bound",
        accessModes: object.spec.accessModes ?? ["ReadWriteOnce"],
        capacity: isJsonObject(requests) ? requests : {},
      };
    }
  }
};

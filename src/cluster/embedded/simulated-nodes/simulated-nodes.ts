import {
  DaemonSet,
  Deployment,
  Job,
  Node,
  PersistentVolumeClaim,
  Pod,
  ReplicaSet,
  StatefulSet,
} from "../../../api/builtin.ts";
import { rfc3339Seconds, type Clock } from "../../../base/clock.ts";
import type { Log } from "../../../base/log.ts";
import type { Random } from "../../../base/random.ts";
import { isStatus } from "../../api-status-error.ts";
import type { Cluster } from "../../cluster.ts";
import { RUNNER_NODE } from "../jobs/runner/job-controller.ts";
import { resolveProgram, type RunnerProgram } from "../jobs/runner/runner-program.ts";
import { KindSimulator, SIMULATOR_MANAGER, type SimulatorParts } from "./kind-simulator.ts";
import {
  claimStatus,
  daemonSetStatus,
  deploymentStatus,
  jobStatus,
  podStatus,
  replicaSetStatus,
  statefulSetStatus,
} from "./workload-status.ts";

/** What simulated nodes run on. */
export interface SimulatedNodesOptions {
  readonly cluster: Cluster;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Mean time from a change of a workload to its outcome, milliseconds. Default 400. */
  readonly startupMs?: number;
  /** Programs that a job runner of the same cluster runs: their Jobs and pods are its own. */
  readonly programs?: readonly RunnerProgram[];
}

/** Running simulated nodes. */
export interface SimulatedNodes {
  /** Resolves when nothing of it is running any more. */
  readonly closed: Promise<void>;
}

const DEFAULT_STARTUP_MS = 400;
/** The one node that exists; its name says what it is. */
export const SIMULATED_NODE_NAME = "simulated-node-1";

/**
 * Stands in for workload controllers, scheduler and kubelets of a cluster that runs no containers, in the manner of kwok: every
 * Deployment, ReplicaSet, StatefulSet, DaemonSet, Pod, Job and PersistentVolumeClaim gets the status it would reach. The annotation
 * `simulated.seam.ontai.dev/outcome: ready|fail|hang` on the object or its pod template chooses another end. Level-based: after
 * a restart it goes on from what the objects say.
 */
export async function startSimulatedNodes(options: SimulatedNodesOptions): Promise<SimulatedNodes> {
  const { cluster, clock, random, log, signal, programs = [] } = options;
  await registerNode(cluster, clock);
  const parts: SimulatorParts = { cluster, clock, random, log, startupMs: options.startupMs ?? DEFAULT_STARTUP_MS };
  const simulators = [
    new KindSimulator(parts, Deployment, deploymentStatus),
    new KindSimulator(parts, ReplicaSet, replicaSetStatus),
    new KindSimulator(parts, StatefulSet, statefulSetStatus),
    new KindSimulator(parts, DaemonSet, daemonSetStatus),
    new KindSimulator(parts, Pod, podStatus, (pod) => pod.spec.nodeName !== RUNNER_NODE),
    new KindSimulator(parts, Job, jobStatus, (job) => "problem" in resolveProgram(job.spec.template.spec, programs)),
    new KindSimulator(parts, PersistentVolumeClaim, claimStatus),
  ];
  const closed = Promise.all(simulators.map((simulator) => simulator.run(signal))).then(() => {});
  return { closed };
}

async function registerNode(cluster: Cluster, clock: Clock): Promise<void> {
  const time = rfc3339Seconds(clock.now());
  try {
    const node = await cluster.create(
      Node,
      {
        apiVersion: "v1",
        kind: "Node",
        metadata: {
          name: SIMULATED_NODE_NAME,
          labels: { "kubernetes.io/hostname": SIMULATED_NODE_NAME, type: "simulated" },
        },
      },
      { fieldManager: SIMULATOR_MANAGER },
    );
    await cluster.updateStatus(
      Node,
      {
        ...node,
        status: {
          capacity: { cpu: "1000", memory: "1000Gi", pods: "10000" },
          allocatable: { cpu: "1000", memory: "1000Gi", pods: "10000" },
          conditions: [
            { type: "Ready", status: "True", reason: "KubeletReady", message: "simulated", lastTransitionTime: time },
          ],
          nodeInfo: { kubeletVersion: "simulated", operatingSystem: "linux" },
        },
      },
      { fieldManager: SIMULATOR_MANAGER },
    );
  } catch (error) {
    if (!isStatus(error, "AlreadyExists")) throw error;
  }
}

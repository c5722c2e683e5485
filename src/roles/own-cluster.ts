import type { Cluster } from "../cluster/cluster.ts";
import type { AgentOptions } from "./agent-options.ts";
import { type ClosingOrder, closeOnAbort } from "./closing.ts";
import { JOB_PROGRAMS } from "./job-programs.ts";

/** The cluster a process works on. */
export interface OwnCluster {
  readonly cluster: Cluster;
  /** True when workloads become ready by simulation only; shown wherever status is shown. */
  readonly simulatedNodes: boolean;
}

/**
 * Opens the cluster of this process: the embedded one of `EMBEDDED_CLUSTER_DIR`, served over REST and with our CRDs installed, or the
 * Kubernetes API server of `KUBECONFIG` or the pod. Only the one that is opened is loaded: an agent of a real API server keeps no
 * second API server in memory.
 *
 * @throws SeamError for configuration or a state directory that cannot be used
 */
export async function openOwnCluster(options: AgentOptions, closing: ClosingOrder): Promise<OwnCluster> {
  const { env, clock, random, log } = options;
  const directory = env["EMBEDDED_CLUSTER_DIR"];
  const signal = closing.stage("cluster");
  const simulatedNodes = env["SIMULATED_NODES"] === "true";
  const simulate = async (cluster: Cluster, stage: AbortSignal): Promise<void> => {
    const { startSimulatedNodes } = await import("../cluster/embedded/simulated-nodes/simulated-nodes.ts");
    const nodes = await startSimulatedNodes({
      cluster,
      clock,
      random,
      log: log.child({ component: "simulated-nodes" }),
      programs: JOB_PROGRAMS,
      signal: stage,
    });
    closing.add(nodes.closed);
  };
  if (!directory) {
    const { connectKubernetes } = await import("../cluster/kubernetes/connect-kubernetes.ts");
    const cluster = await connectKubernetes({ clock, random, log, signal });
    closing.add(closeOnAbort(signal, cluster));
    if (simulatedNodes) await simulate(cluster, closing.stage("simulated nodes"));
    return { cluster, simulatedNodes };
  }
  const { openServedCluster } = await import("./embedded.ts");
  const { cluster, api } = await openServedCluster(directory, simulatedNodes, options, closing, signal);
  if (simulatedNodes) await simulate(cluster, api);
  return { cluster, simulatedNodes };
}

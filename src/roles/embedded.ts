import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { CustomResourceDefinition, Namespace } from "../api/builtin.ts";
import { loadCrds } from "../api/kinds/crds.ts";
import { aborted } from "../base/aborted.ts";
import { invariant } from "../base/assert.ts";
import { isJsonObject } from "../base/json.ts";
import { NAMESPACES } from "../api/names.ts";
import { isStatus } from "../cluster/api-status-error.ts";
import type { Cluster } from "../cluster/cluster.ts";
import { openEmbeddedCluster } from "../cluster/embedded/embedded-cluster.ts";
import { podLogFiles } from "../cluster/embedded/jobs/runner/pod-log-files.ts";
import type { RunnerProgram } from "../cluster/embedded/jobs/runner/runner-program.ts";
import { startSimulatedNodes } from "../cluster/embedded/simulated-nodes/simulated-nodes.ts";
import { connectKubernetes } from "../cluster/kubernetes/connect-kubernetes.ts";
import { serveCluster } from "../cluster/serve/serve-cluster.ts";
import type { AgentOptions } from "./agent-options.ts";
import type { ClosingOrder } from "./closing.ts";
import { listenAddress, required } from "./environment.ts";

/** Programs that Jobs of an embedded cluster run without containers: one entry for each subcommand of ours that is made for it. */
const JOB_PROGRAMS: readonly RunnerProgram[] = [];

/** Field manager of what a process installs into its embedded cluster. */
const INSTALL_MANAGER = "seam-install";

/** The cluster a process works on. */
export interface OwnCluster {
  readonly cluster: Cluster;
  /** True when workloads become ready by simulation only; shown wherever status is shown. */
  readonly simulatedNodes: boolean;
}

/**
 * Opens the cluster of this process: the embedded one of `EMBEDDED_CLUSTER_DIR`, served over REST and with our CRDs installed, or the
 * Kubernetes API server of `KUBECONFIG` or the pod.
 *
 * @throws SeamError for configuration or a state directory that cannot be used
 */
export async function openOwnCluster(options: AgentOptions, closing: ClosingOrder): Promise<OwnCluster> {
  const { env, clock, random, log } = options;
  const directory = env["EMBEDDED_CLUSTER_DIR"];
  const signal = closing.stage("cluster");
  const simulatedNodes = env["SIMULATED_NODES"] === "true";
  const simulate = async (cluster: Cluster, stage: AbortSignal): Promise<void> => {
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
    const cluster = await connectKubernetes({ clock, random, log, signal });
    closing.add(onAbort(signal, () => cluster.close()));
    if (simulatedNodes) await simulate(cluster, closing.stage("simulated nodes"));
    return { cluster, simulatedNodes };
  }
  const pem = async (name: string, what: string): Promise<string> => readFile(required(env, name, what), "utf8");
  // The CA of the clients signs the certificate of the server too.
  const rootCa = await pem("EMBEDDED_API_CA_CERT_PATH", "CA of its clients");
  const cluster = await openEmbeddedCluster({
    directory,
    clock,
    random,
    log,
    rootCa,
    jobs: {
      programs: JOB_PROGRAMS,
      environment: { PATH: env["PATH"] ?? "" },
      // Simulated nodes bring the others to their end.
      others: simulatedNodes ? "leave" : "pending",
    },
  });
  closing.add(onAbort(signal, () => cluster.close()));
  await install(cluster);

  const api = closing.stage("api server");
  const served = await serveCluster({
    cluster,
    ...listenAddress(env, "EMBEDDED_API_ADDR", "127.0.0.1:6443"),
    tls: {
      cert: await pem("EMBEDDED_API_CERT_PATH", "certificate of the embedded Kubernetes API"),
      key: await pem("EMBEDDED_API_KEY_PATH", "key of the embedded Kubernetes API"),
      clientCa: rootCa,
    },
    podLogs: podLogFiles(directory, clock),
    serviceAccountKeyPath: join(directory, "service-account.key"),
    clock,
    random,
    log: log.child({ component: "apiserver" }),
    signal: api,
  });
  closing.add(served.closed);
  if (simulatedNodes) await simulate(cluster, api);
  return { cluster, simulatedNodes };
}

/** Installs our kinds and namespaces; a CRD of an older build is replaced by this one's. */
async function install(cluster: Cluster): Promise<void> {
  for (const crd of loadCrds()) {
    const body: unknown = crd;
    invariant(isJsonObject(body), "a CRD is a JSON object");
    const key = { name: crd.metadata.name };
    await cluster.patch(
      CustomResourceDefinition,
      key,
      { type: "apply", body },
      { fieldManager: INSTALL_MANAGER, force: true },
    );
  }
  try {
    await cluster.create(
      Namespace,
      { apiVersion: "v1", kind: "Namespace", metadata: { name: NAMESPACES.ont } },
      { fieldManager: INSTALL_MANAGER },
    );
  } catch (error) {
    if (!isStatus(error, "AlreadyExists")) throw error;
  }
}

async function onAbort(signal: AbortSignal, close: () => Promise<void>): Promise<void> {
  await aborted(signal);
  await close();
}

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { CustomResourceDefinition, Namespace } from "../api/builtin.ts";
import { loadCrds } from "../api/kinds/crds.ts";
import { invariant } from "../base/assert.ts";
import { isJsonObject } from "../base/json.ts";
import { NAMESPACES } from "../api/names.ts";
import { isStatus } from "../cluster/api-status-error.ts";
import type { Cluster } from "../cluster/cluster.ts";
import { openEmbeddedCluster } from "../cluster/embedded/embedded-cluster.ts";
import { podLogFiles } from "../cluster/embedded/jobs/runner/pod-log-files.ts";
import { serveCluster } from "../cluster/serve/serve-cluster.ts";
import type { AgentOptions } from "./agent-options.ts";
import { type ClosingOrder, closeOnAbort } from "./closing.ts";
import { listenAddress, required } from "./environment.ts";
import { JOB_PROGRAMS } from "./job-programs.ts";

/** Field manager of what a process installs into its embedded cluster. */
const INSTALL_MANAGER = "seam-install";

/**
 * Opens the embedded cluster in `directory`, installs our kinds and serves it over REST. `signal` ends the cluster, `api` its server.
 *
 * @throws SeamError for configuration or a state directory that cannot be used
 */
export async function openServedCluster(
  directory: string,
  simulatedNodes: boolean,
  options: AgentOptions,
  closing: ClosingOrder,
  signal: AbortSignal,
): Promise<{ readonly cluster: Cluster; readonly api: AbortSignal }> {
  const { env, clock, random, log } = options;
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
  closing.add(closeOnAbort(signal, cluster));
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
  return { cluster, api };
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

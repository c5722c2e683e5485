import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { SeamError, errorMessage } from "../../base/errors.ts";
import { silentLog } from "../../base/log.ts";
import type { Cluster } from "../../cluster/cluster.ts";
import { connectKubernetes } from "../../cluster/kubernetes/connect-kubernetes.ts";
import { type ConnectedCluster, httpCluster } from "../../cluster/kubernetes/http-cluster.ts";
import { MeshLayout } from "../../roles/mesh/layout.ts";
import { MANAGEMENT } from "../../roles/mesh/process-environment.ts";
import type { CommandContext } from "./context.ts";
import { readSettings } from "./mesh-file.ts";
import { explainUnreachable, isUnreachable } from "./unreachable.ts";

/** Flags of commands that talk to a Kubernetes API. */
export interface KubernetesOptions {
  /** State directory of the mesh; its management cluster, unless a kubeconfig is named. */
  readonly dir: string;
  readonly kubeconfig?: string;
  readonly context?: string;
}

/** Adds the flags by which a command finds the management cluster. */
export function withManagementFlags(command: Command): Command {
  return command
    .option("--dir <directory>", "state directory of the mesh", ".seam")
    .option("--kubeconfig <file>", "management cluster by a kubeconfig instead of the mesh in --dir")
    .option("--context <name>", "context of --kubeconfig");
}

/** Runs `use` on the management cluster and closes the connection afterwards. @throws SeamError `ServiceUnreachable` */
export async function withManagement<R>(
  options: KubernetesOptions,
  context: CommandContext,
  use: (cluster: Cluster) => Promise<R>,
): Promise<R> {
  if (options.kubeconfig !== undefined || options.context !== undefined) return withContext(options, context, use);
  const { api, external } = readSettings(options.dir);
  const { operator, kubeconfig } = new MeshLayout(options.dir);
  if (external.includes(MANAGEMENT)) return withContext({ ...options, kubeconfig, context: MANAGEMENT }, context, use);
  const cluster = httpCluster({
    server: api,
    caPem: readFileSync(join(operator, "ca.crt"), "utf8"),
    clientCertPem: readFileSync(join(operator, "tls.crt"), "utf8"),
    clientKeyPem: readFileSync(join(operator, "tls.key"), "utf8"),
    userAgent: "seamctl",
    clock: context.clock,
    random: context.random,
    log: silentLog,
  });
  return closing(cluster, use, (error) => explainUnreachable(error, "management Kubernetes API", api, options));
}

/** Runs `use` on the cluster of a kubeconfig's context; without a file the convention of kubectl. @throws SeamError `KubeconfigInvalid` */
export async function withContext<R>(
  options: KubernetesOptions,
  context: CommandContext,
  use: (cluster: Cluster) => Promise<R>,
): Promise<R> {
  const { kubeconfig, context: name } = options;
  const cluster = await connectKubernetes({
    ...(kubeconfig !== undefined && { kubeconfigPath: kubeconfig }),
    ...(name !== undefined && { context: name }),
    userAgent: "seamctl",
    clock: context.clock,
    random: context.random,
    log: silentLog,
  });
  const where = `context ${name ?? "(current)"} of ${kubeconfig ?? "the default kubeconfig"}`;
  return closing(cluster, use, (error) =>
    isUnreachable(error)
      ? new SeamError(
          {
            reason: "ServiceUnreachable",
            object: `Kubernetes API in ${where}`,
            expected: `does not answer (${errorMessage(error)})`,
            remedy: "check the server of that context",
          },
          { cause: error },
        )
      : error,
  );
}

async function closing<R>(
  cluster: ConnectedCluster,
  use: (cluster: Cluster) => Promise<R>,
  explain: (error: unknown) => unknown,
): Promise<R> {
  try {
    return await use(cluster);
  } catch (error) {
    throw explain(error);
  } finally {
    await cluster.close();
  }
}

import { createPublicKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { Namespace, type NamespaceObject } from "../../api/builtin.ts";
import { ANNOTATIONS, NAMESPACES } from "../../api/names.ts";
import type { Clock } from "../../base/clock.ts";
import { SeamError, errorMessage } from "../../base/errors.ts";
import { ApiStatusError, isStatus } from "../../cluster/api-status-error.ts";
import type { Cluster } from "../../cluster/cluster.ts";
import { installCrds } from "../../controller/install-crds.ts";
import { keyIdOf, shortKeyId } from "../../trust/dsse.ts";

/** What {@link prepareExternal} needs. */
export interface PrepareOptions {
  /** Public half of the mesh's signing key, PEM file: whoever holds the key owns what is in the cluster. */
  readonly publicKeyFile: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/**
 * Installs our kinds and the agent's namespace into an API server that somebody brought, as a chart would. Idempotent; nothing else is
 * touched. The namespace remembers the mesh, since another mesh's signatures would be refused by every agent.
 *
 * @throws SeamError `ClusterUnusable` with the server's own words, which name verb and resource of a missing right;
 *   `ClusterOfAnotherMesh`
 */
export async function prepareExternal(name: string, cluster: Cluster, options: PrepareOptions): Promise<void> {
  const key = shortKeyId(keyIdOf(createPublicKey(readFileSync(options.publicKeyFile, "utf8"))));
  let namespace: NamespaceObject;
  try {
    await installCrds(cluster, options.clock, options.signal);
    namespace = await agentNamespace(cluster, key);
  } catch (cause) {
    throw new SeamError(
      {
        reason: "ClusterUnusable",
        object: `API server of ${name}`,
        expected: `an administrator's kubeconfig of a server that answers (${errorMessage(cause)})`,
        remedy:
          cause instanceof ApiStatusError && cause.code === 403
            ? "give its user the right that is missing"
            : "check the server and the kubeconfig with kubectl",
      },
      { cause },
    );
  }
  const found = namespace.metadata.annotations?.[ANNOTATIONS.meshKey];
  if (found === key) return;
  throw new SeamError({
    reason: "ClusterOfAnotherMesh",
    object: `API server of ${name}`,
    field: `namespace ${NAMESPACES.ont}, annotation ${ANNOTATIONS.meshKey}`,
    expected: `must be ${key}, this mesh's signing key, found ${found ?? "none"}`,
    remedy: "use the state directory it was used with (--dir), or a fresh API server",
  });
}

/** Creates the namespace with the mesh's mark, marks one that nobody has marked, or reads what is there. */
async function agentNamespace(cluster: Cluster, key: string): Promise<NamespaceObject> {
  const metadata = { name: NAMESPACES.ont, annotations: { [ANNOTATIONS.meshKey]: key } };
  try {
    return await cluster.create(
      Namespace,
      { apiVersion: "v1", kind: "Namespace", metadata },
      { fieldManager: "seam-install" },
    );
  } catch (error) {
    if (!isStatus(error, "AlreadyExists")) throw error;
  }
  const found = await cluster.get(Namespace, { name: NAMESPACES.ont });
  if (found.metadata.annotations?.[ANNOTATIONS.meshKey] !== undefined) return found;
  const body = { metadata: { annotations: metadata.annotations } };
  return cluster.patch(Namespace, { name: NAMESPACES.ont }, { type: "merge", body }, { fieldManager: "seam-install" });
}

import type { Metrics } from "../base/metrics.ts";
import { groupResource } from "../api/resource-type.ts";
import type { Cluster } from "./cluster.ts";

/**
 * The same cluster, with its writes counted by resource and verb (`apiserver_writes_total`): what a fleet costs its API server.
 */
export function countedCluster(cluster: Cluster, metrics: Metrics): Cluster {
  const counted = <R>(verb: string, type: Parameters<typeof groupResource>[0], write: Promise<R>): Promise<R> => {
    metrics.count("apiserver_writes_total", { resource: groupResource(type), verb });
    return write;
  };
  return {
    get: (type, key) => cluster.get(type, key),
    list: (type, options) => cluster.list(type, options),
    watch: (type, options, signal) => cluster.watch(type, options, signal),
    create: (type, object, options) => counted("create", type, cluster.create(type, object, options)),
    update: (type, object, options) => counted("update", type, cluster.update(type, object, options)),
    updateStatus: (type, object, options) => counted("update", type, cluster.updateStatus(type, object, options)),
    patch: (type, key, patch, options) => counted("patch", type, cluster.patch(type, key, patch, options)),
    delete: (type, key, options) => counted("delete", type, cluster.delete(type, key, options)),
    discover: () => cluster.discover(),
  };
}

import { systemClock } from "../../src/base/clock.ts";
import { silentLog } from "../../src/base/log.ts";
import { systemRandom } from "../../src/base/random.ts";
import { Widget } from "../../test/support/widget.ts";
import { BENCH_NAMESPACE } from "./load.ts";

/** Fills a cache from `KUBECONFIG_FILE` by our informer or by client-node's, and says how long that took and what it weighs. */
const [kind = "", kubeconfig = ""] = process.argv.slice(2);
const heap = async (): Promise<number> => {
  for (let i = 0; i < 3; i++) {
    globalThis.gc?.();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
};

if (kind === "ours") {
  const { connectKubernetes } = await import("../../src/cluster/kubernetes/connect-kubernetes.ts");
  const { startInformer } = await import("../../src/controller/cache/informer.ts");
  const parts = { clock: systemClock, random: systemRandom, log: silentLog };
  const cluster = await connectKubernetes({ kubeconfigPath: kubeconfig, ...parts });
  await cluster.discover();
  const before = await heap();
  const began = performance.now();
  const { signal } = new AbortController();
  const informer = startInformer({ cluster, type: Widget, namespace: BENCH_NAMESPACE, ...parts, signal });
  await informer.synced;
  await report(performance.now() - began, before, informer.list().length);
} else {
  const { CustomObjectsApi, KubeConfig, makeInformer } = await import("@kubernetes/client-node");
  const config = new KubeConfig();
  config.loadFromFile(kubeconfig);
  const api = config.makeApiClient(CustomObjectsApi);
  const target = { group: "example.com", version: "v1", namespace: BENCH_NAMESPACE, plural: "widgets" };
  await api.listNamespacedCustomObject({ ...target, limit: 1 });
  const before = await heap();
  const began = performance.now();
  const path = `/apis/example.com/v1/namespaces/${BENCH_NAMESPACE}/widgets`;
  const informer = makeInformer(config, path, () => api.listNamespacedCustomObject(target));
  await informer.start();
  await report(performance.now() - began, before, informer.list().length);
}

async function report(elapsedMs: number, before: number, objects: number): Promise<void> {
  const heapBytes = (await heap()) - before;
  process.send?.({ elapsedMs, heapBytes, objects }, () => process.exit(0));
}

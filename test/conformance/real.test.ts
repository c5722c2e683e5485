import { describe, it } from "vitest";
import { systemClock } from "../../src/base/clock.ts";
import { silentLog } from "../../src/base/log.ts";
import { systemRandom } from "../../src/base/random.ts";
import { connectKubernetes } from "../../src/cluster/kubernetes/connect-kubernetes.ts";
import { realServerAssets, startRealApiServer } from "../support/real-api-server.ts";
import { clusterConformance } from "./cluster-conformance.ts";

// The suite creates CRDs and namespaces, so the everyday KUBECONFIG is never taken for an invitation.
const kubeconfigPath = process.env["CONFORMANCE_KUBECONFIG"];
const assets = realServerAssets();

if (assets !== undefined) {
  clusterConformance("kube-apiserver with etcd", async () => {
    const real = await startRealApiServer(assets);
    return { cluster: real.cluster, controllers: false, close: () => real.close() };
  });
}
if (kubeconfigPath !== undefined) {
  clusterConformance("the cluster of CONFORMANCE_KUBECONFIG", async () => {
    const cluster = await connectKubernetes({
      kubeconfigPath,
      clock: systemClock,
      random: systemRandom,
      log: silentLog,
    });
    return { cluster, controllers: true, close: () => cluster.close() };
  });
}
if (assets === undefined && kubeconfigPath === undefined)
  describe("kube-apiserver with etcd", () => {
    it("is skipped: no real server here, set KUBEBUILDER_ASSETS (.ci/real-parts) or CONFORMANCE_KUBECONFIG", (context) => {
      context.skip();
    });
  });

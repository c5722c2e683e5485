import { serveTestApi } from "../support/served-api.ts";
import { clusterConformance } from "./cluster-conformance.ts";

clusterConformance("embedded cluster over REST", async () => {
  const test = await serveTestApi();
  return {
    cluster: test.connect(),
    compact: () => test.cluster.compactHistory(),
    controllers: true,
    close: () => test.close(),
  };
});

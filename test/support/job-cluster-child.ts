import { Job } from "../../src/api/builtin.ts";
import { keyOf } from "../../src/api/object.ts";
import { openJobCluster } from "./job-cluster.ts";

/** Opens a cluster with a job runner, lets its suspended Jobs go and holds it until it is killed. Argument: directory. */
const cluster = await openJobCluster(process.argv[2] ?? "");
for (const job of (await cluster.list(Job)).items) {
  await cluster.patch(Job, keyOf(job), { type: "merge", body: { spec: { suspend: false } } });
}

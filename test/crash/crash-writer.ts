import { writeSync } from "node:fs";
import { ConfigMap, CustomResourceDefinition, Namespace } from "../../src/api/builtin.ts";
import { systemClock } from "../../src/base/clock.ts";
import { silentLog } from "../../src/base/log.ts";
import { SeededRandom, systemRandom } from "../../src/base/random.ts";
import { isStatus } from "../../src/cluster/api-status-error.ts";
import { openEmbeddedCluster } from "../../src/cluster/embedded/embedded-cluster.ts";
import { isPresent, stepBody } from "./crash-model.ts";

/**
 * Writes until it is killed. Each key goes through numbered steps, said before (`> key step`) and after (`< key step version`) they are
 * answered. Beside them CRDs and namespaces with contents come and go. Arguments: directory, seed, first step of each key.
 */
const [directory = "", seed = "0", ...firstSteps] = process.argv.slice(2);
const random = new SeededRandom(Number(seed));
const cluster = await openEmbeddedCluster({ directory, clock: systemClock, random: systemRandom, log: silentLog });

/** At once, also when the next thing that happens is SIGKILL. */
function say(line: string): void {
  for (;;) {
    try {
      writeSync(1, `${line}\n`);
      return;
    } catch (error) {
      // The pipe is full: its reader is busy.
      if (!(error instanceof Error && "code" in error && error.code === "EAGAIN")) throw error;
    }
  }
}

async function takeSteps(index: number, first: number): Promise<never> {
  const key = `key-${index}`;
  const metadata = { name: key, namespace: "default" };
  for (let step = first; ; step++) {
    say(`> ${key} ${step}`);
    const body = { apiVersion: "v1", kind: "ConfigMap", ...stepBody(key, step) };
    let version = "0";
    if (!isPresent(step)) await cluster.delete(ConfigMap, metadata);
    else if (!isPresent(step - 1))
      ({ resourceVersion: version = "" } = (await cluster.create(ConfigMap, body)).metadata);
    else {
      const patch =
        index % 2 === 0
          ? ({ type: "merge", body: { data: body.data, metadata: { labels: body.metadata.labels } } } as const)
          : ({ type: "apply", body } as const);
      const options = patch.type === "apply" ? { fieldManager: "crash", force: true } : {};
      ({ resourceVersion: version = "" } = (await cluster.patch(ConfigMap, metadata, patch, options)).metadata);
    }
    say(`< ${key} ${step} ${version}`);
  }
}

/** A namespace and a kind that exist for a moment, with an owner, a dependent and an object of the kind. */
async function comeAndGo(name: string): Promise<void> {
  const group = `${name}.crash.example`;
  const type = { group, version: "v1", resource: "things", kind: "Thing", namespaced: true };
  await cluster.create(CustomResourceDefinition, {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `things.${group}` },
    spec: {
      group,
      scope: "Namespaced",
      names: { plural: "things", kind: "Thing" },
      versions: [{ name: "v1", served: true, storage: true, schema: { openAPIV3Schema: { type: "object" } } }],
    },
  });
  await cluster.create(Namespace, { apiVersion: "v1", kind: "Namespace", metadata: { name } });
  const owner = await cluster.create(ConfigMap, {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "owner", namespace: name },
  });
  const ownerReferences = [{ apiVersion: "v1", kind: "ConfigMap", name: "owner", uid: owner.metadata.uid ?? "" }];
  await cluster.create(type, {
    apiVersion: `${group}/v1`,
    kind: "Thing",
    metadata: { name: "dependent", namespace: name, ownerReferences },
  });
  await cluster.delete(ConfigMap, { name: "owner", namespace: name }, { propagationPolicy: "Foreground" });
  await cluster.delete(CustomResourceDefinition, { name: `things.${group}` });
  await cluster.delete(Namespace, { name });
}

async function disturb(): Promise<never> {
  for (let round = 0; ; round++) {
    try {
      await comeAndGo(`n-${seed}-${round}`);
    } catch (error) {
      // Life cycles of the last round may still be at work on what this one wants.
      if (!isStatus(error, "AlreadyExists", "NotFound", "Conflict", "Forbidden")) throw error;
    }
    if (random.next() < 0.3) await cluster.compactHistory();
  }
}

await Promise.all([...firstSteps.map((step, index) => takeSteps(index, Number(step))), disturb()]);

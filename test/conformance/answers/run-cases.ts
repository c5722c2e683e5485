import { CustomResourceDefinition, Namespace } from "../../../src/api/builtin.ts";
import type { JsonValue } from "../../../src/base/json.ts";
import type { Cluster } from "../../../src/cluster/cluster.ts";
import { applyCases } from "./cases/apply.ts";
import { definitionCases } from "./cases/definitions.ts";
import { kindCases } from "./cases/kinds.ts";
import { listCases } from "./cases/lists.ts";
import { metadataCases } from "./cases/metadata.ts";
import { schemaCases } from "./cases/schemas.ts";
import { writeCases } from "./cases/writes.ts";
import { type AnswerCases, Probe } from "./probe.ts";
import { Widget, widgetCrd } from "./widget-crd.ts";

/** Every case; its name is its id in the recorded answers. */
export const ANSWER_CASES: AnswerCases = {
  ...metadataCases,
  ...writeCases,
  ...applyCases,
  ...schemaCases,
  ...listCases,
  ...definitionCases,
  ...kindCases,
};

const SERVED_WITHIN_ATTEMPTS = 400;

/** Installs what cases work with, and resolves when it is served. */
export async function prepare(cluster: Cluster): Promise<void> {
  await cluster.create(CustomResourceDefinition, widgetCrd);
  for (let attempt = 0; ; attempt++) {
    try {
      await cluster.list(Widget, { namespace: "default", limit: 1 });
      return;
    } catch (error) {
      // A real API server begins to serve a kind some moments after it accepted the CRD.
      if (attempt >= SERVED_WITHIN_ATTEMPTS) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

/** What the cluster answers to one case, in a namespace of its own. */
export async function answersTo(cluster: Cluster, id: string): Promise<readonly JsonValue[]> {
  const run = ANSWER_CASES[id];
  if (run === undefined) throw new Error(`there is no case ${id}`);
  const { metadata } = await cluster.create(Namespace, {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { generateName: "answers-" },
  });
  const probe = new Probe(cluster, metadata.name, Widget);
  await run(probe);
  return probe.answers;
}

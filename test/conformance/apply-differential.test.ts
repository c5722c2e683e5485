import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { KubeObject } from "../../src/api/object.ts";
import type { ResourceType } from "../../src/api/resource-type.ts";
import { systemClock } from "../../src/base/clock.ts";
import type { JsonObject, JsonValue } from "../../src/base/json.ts";
import { silentLog } from "../../src/base/log.ts";
import { SeededRandom, systemRandom } from "../../src/base/random.ts";
import { ApiStatusError } from "../../src/cluster/api-status-error.ts";
import type { Cluster } from "../../src/cluster/cluster.ts";
import { openEmbeddedCluster } from "../../src/cluster/embedded/embedded-cluster.ts";
import { realServerAssets, startRealApiServer } from "../support/real-api-server.ts";
import { harnessOf } from "./harness.ts";

const assets = realServerAssets();
const HISTORIES = 60;
const STEPS = 8;

const SPEC: JsonObject = {
  type: "object",
  properties: {
    a: { type: "integer" },
    b: { type: "integer", default: 7 },
    nested: { type: "object", properties: { x: { type: "integer" }, y: { type: "string" } } },
    items: {
      type: "array",
      "x-kubernetes-list-type": "map",
      "x-kubernetes-list-map-keys": ["name", "kind"],
      items: {
        type: "object",
        required: ["name"],
        properties: {
          name: { type: "string" },
          kind: { type: "string", default: "plain" },
          value: { type: "integer" },
          deep: { type: "object", properties: { z: { type: "integer" } } },
        },
      },
    },
    tags: { type: "array", "x-kubernetes-list-type": "set", items: { type: "string" } },
    order: { type: "array", items: { type: "string" } },
    labels: { type: "object", additionalProperties: { type: "string" } },
    whole: { type: "object", "x-kubernetes-map-type": "atomic", additionalProperties: { type: "string" } },
    open: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
  },
};

class Generator {
  readonly #random: SeededRandom;

  constructor(seed: number) {
    this.#random = new SeededRandom(seed);
  }

  below(limit: number): number {
    return Math.floor(this.#random.next() * limit);
  }

  chance(share: number): boolean {
    return this.#random.next() < share;
  }

  some<T>(values: readonly T[]): T[] {
    return values.filter(() => this.chance(0.5));
  }

  spec(): JsonObject {
    const spec: Record<string, JsonValue> = {};
    if (this.chance(0.5)) spec["a"] = this.below(2);
    if (this.chance(0.3)) spec["b"] = this.below(2);
    if (this.chance(0.5))
      spec["nested"] = { ...(this.chance(0.7) ? { x: this.below(2) } : {}), ...(this.chance(0.5) ? { y: "u" } : {}) };
    if (this.chance(0.6)) {
      spec["items"] = this.some(["p", "q", "r"]).map((name) => this.#item(name));
    }
    if (this.chance(0.4)) spec["tags"] = this.some(["s", "t", "u"]);
    if (this.chance(0.3)) spec["order"] = this.some(["1", "2"]);
    if (this.chance(0.5))
      spec["labels"] = Object.fromEntries(this.some(["k", "l"]).map((key) => [key, `${this.below(2)}`]));
    if (this.chance(0.3))
      spec["whole"] = Object.fromEntries(this.some(["m", "n"]).map((key) => [key, `${this.below(2)}`]));
    if (this.chance(0.4))
      spec["open"] = { free: this.below(2), list: this.some(["v", "w"]), sub: this.chance(0.5) ? { c: 1 } : {} };
    return spec;
  }

  #item(name: string): JsonObject {
    return {
      name,
      ...(this.chance(0.2) ? { kind: "odd" } : {}),
      ...(this.chance(0.5) ? { value: this.below(2) } : {}),
      ...(this.chance(0.3) ? { deep: { z: this.below(2) } } : {}),
    };
  }
}

type Step = (cluster: Cluster, type: ResourceType, namespace: string, name: string) => Promise<KubeObject>;

/** One random write, the same for whoever runs it. */
function stepOf(generator: Generator): { readonly text: string; readonly run: Step } {
  const spec = generator.spec();
  const manager = ["one", "two", "three"][generator.below(3)] ?? "one";
  if (generator.chance(0.25)) {
    return {
      text: `merge by ${manager} ${JSON.stringify(spec)}`,
      run: (cluster, type, namespace, name) =>
        cluster.patch(type, { namespace, name }, { type: "merge", body: { spec } }, { fieldManager: manager }),
    };
  }
  const force = generator.chance(0.4);
  return {
    text: `apply by ${manager}${force ? " with force" : ""} ${JSON.stringify(spec)}`,
    run: (cluster, type, namespace, name) =>
      cluster.patch(
        type,
        { namespace, name },
        {
          type: "apply",
          body: { apiVersion: `${type.group}/v1`, kind: type.kind, metadata: { name, namespace }, spec },
        },
        { fieldManager: manager, force },
      ),
  };
}

/** What a write left, without what differs from server to server. */
async function outcome(write: Promise<KubeObject>, group: string): Promise<unknown> {
  try {
    const object: KubeObject & { readonly spec?: unknown } = await write;
    const owners = (object.metadata.managedFields ?? []).map((entry) => {
      const { manager, operation, fieldsV1, subresource } = entry;
      return { manager, operation, fieldsV1, subresource, apiVersion: entry.apiVersion.replace(group, "group") };
    });
    const key = (entry: { readonly manager: string; readonly operation: string }) =>
      `${entry.operation} ${entry.manager}`;
    return {
      spec: object.spec,
      generation: object.metadata.generation,
      owners: owners.toSorted((a, b) => (key(a) < key(b) ? -1 : 1)),
    };
  } catch (error) {
    if (!(error instanceof ApiStatusError)) throw error;
    // Several invalid fields come in the random order of a Go map.
    const anonymous = (text: string): string => text.replaceAll(group, "group");
    const causes = (error.details.causes ?? []).map((cause) => anonymous(`${cause.field} ${cause.message}`));
    const message = error.code === 422 ? "" : anonymous(error.message);
    return { code: error.code, causes: causes.toSorted(), message };
  }
}

describe.runIf(assets !== undefined)("random histories of apply and merge", () => {
  const closing: (() => Promise<void>)[] = [];
  let clusters: readonly { readonly cluster: Cluster; readonly type: ResourceType; readonly namespace: string }[] = [];

  beforeAll(async () => {
    const real = await startRealApiServer(assets ?? "");
    closing.push(() => real.close());
    const directory = await mkdtemp(join(tmpdir(), "seam-differential-"));
    const embedded = await openEmbeddedCluster({
      directory,
      clock: systemClock,
      random: systemRandom,
      log: silentLog,
    });
    closing.push(async () => {
      await embedded.close();
      await rm(directory, { recursive: true });
    });
    const prepare = async (cluster: Cluster) => {
      const harness = harnessOf(() => ({ cluster, close: async () => {}, controllers: false }));
      return { cluster, type: await harness.customResource({ spec: SPEC }), namespace: await harness.namespace() };
    };
    clusters = [await prepare(real.cluster), await prepare(embedded)];
  }, 180_000);
  afterAll(async () => {
    for (const close of closing) await close();
  });

  it("end in the same objects, owners and refusals as on kube-apiserver", async () => {
    for (let seed = 0; seed < HISTORIES; seed++) {
      const generator = new Generator(seed);
      const history: string[] = [];
      for (let i = 0; i < STEPS; i++) {
        const step = stepOf(generator);
        history.push(step.text);
        const [expected, actual] = await Promise.all(
          clusters.map(({ cluster, type, namespace }) =>
            outcome(step.run(cluster, type, namespace, `seed-${seed}`), type.group),
          ),
        );
        expect({ seed, history, outcome: actual }).toEqual({ seed, history, outcome: expected });
      }
    }
  }, 180_000);
});

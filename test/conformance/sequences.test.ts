import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ConfigMap, Namespace } from "../../src/api/builtin.ts";
import type { JsonValue } from "../../src/base/json.ts";
import { systemClock } from "../../src/base/clock.ts";
import { silentLog } from "../../src/base/log.ts";
import { SeededRandom, systemRandom } from "../../src/base/random.ts";
import type { Cluster } from "../../src/cluster/cluster.ts";
import { openEmbeddedCluster } from "../../src/cluster/embedded/embedded-cluster.ts";
import { realServerAssets, startRealApiServer } from "../support/real-api-server.ts";
import { Probe } from "./answers/probe.ts";
import { prepare } from "./answers/run-cases.ts";
import { Widget } from "./answers/widget-crd.ts";

const SEQUENCES = Number(process.env["SEQUENCES"] ?? 200);
const STEPS = 8;
const FIRST_SEED = Number(process.env["SEQUENCE_SEED"] ?? 1);
const AT_ONCE = 4;

/** One operation with its text; the same for whoever runs it. */
interface Operation {
  readonly text: string;
  readonly run: (probe: Probe) => Promise<unknown>;
}

/** Random operations on two objects of each of two kinds. */
function operations(seed: number): readonly Operation[] {
  const random = new SeededRandom(seed);
  const of = <T>(values: readonly T[]): T => values[Math.floor(random.next() * values.length)] as T;
  return Array.from({ length: STEPS }, (): Operation => {
    const type = random.next() < 0.5 ? ConfigMap : Widget;
    const name = of(["a", "b"]);
    const content =
      type === ConfigMap
        ? { data: { [of(["x", "y"])]: of(["1", "2"]) } }
        : { spec: { integer: of([1, 2]), ...(random.next() < 0.5 ? { text: of(["p", "q"]) } : {}) } };
    const labels = of([undefined, { on: "1" }, { on: "2" }]);
    const metadata = { name, ...(labels === undefined ? {} : { labels }) };
    const fieldManager = of(["one", "two"]);
    const text = `${type.kind} ${name} ${JSON.stringify(content)} ${JSON.stringify(labels)} by ${fieldManager}`;
    switch (of(["create", "create", "merge", "json", "apply", "force", "delete", "list", "get", "finalize"] as const)) {
      case "create":
        return { text: `create ${text}`, run: (p) => p.create(type, { metadata, ...content }, { fieldManager }) };
      case "merge":
        return {
          text: `merge ${text}`,
          run: (p) =>
            p.patch(
              type,
              name,
              { type: "merge", body: { metadata: { labels: labels ?? null }, ...content } },
              { fieldManager },
            ),
        };
      case "json":
        return {
          text: `json remove ${text}`,
          run: (p) =>
            p.patch(
              type,
              name,
              { type: "json", body: [{ op: "remove", path: type === ConfigMap ? "/data/x" : "/spec/text" }] },
              { fieldManager },
            ),
        };
      case "apply":
      case "force": {
        const force = random.next() < 0.5;
        const apiVersion = type === ConfigMap ? "v1" : `${Widget.group}/v1`;
        const body = { apiVersion, kind: type.kind, metadata, ...content };
        return {
          text: `apply${force ? " with force" : ""} ${text}`,
          run: (p) => p.patch(type, name, { type: "apply", body }, { fieldManager, force }),
        };
      }
      case "delete":
        return { text: `delete ${type.kind} ${name}`, run: (p) => p.delete(type, name) };
      case "list": {
        const labelSelector = of(["on=1", "on", "!on"]);
        return { text: `list ${type.kind} ${labelSelector}`, run: (p) => p.list(type, { labelSelector }) };
      }
      case "get":
        return { text: `get ${type.kind} ${name}`, run: (p) => p.get(type, name) };
      case "finalize": {
        const finalizers = of([null, ["example.com/f"]]);
        return {
          text: `finalizers ${JSON.stringify(finalizers)} of ${type.kind} ${name}`,
          run: (p) => p.patch(type, name, { type: "merge", body: { metadata: { finalizers } } }, { fieldManager }),
        };
      }
    }
  });
}

/** Every answer to the operations, then what a watch from before the first of them tells. */
async function told(cluster: Cluster, steps: readonly Operation[]): Promise<JsonValue> {
  const { metadata } = await cluster.create(Namespace, {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { generateName: "sequence-" },
  });
  const namespace = metadata.name;
  const { resourceVersion } = await cluster.list(Widget, { namespace, limit: 1 });
  const probe = new Probe(cluster, namespace, Widget);
  probe.showManagers = true;
  for (const step of steps) await step.run(probe);
  await cluster.create(Widget, {
    apiVersion: `${Widget.group}/v1`,
    kind: "Widget",
    metadata: { name: "end", namespace },
    spec: {},
  });
  const events: JsonValue[] = [];
  const stop = new AbortController();
  for await (const event of cluster.watch(Widget, { namespace, resourceVersion }, stop.signal)) {
    if (event.type === "BOOKMARK") continue;
    if (event.object.metadata.name === "end") break;
    const { name, labels, finalizers, generation } = event.object.metadata;
    const shown = { type: event.type, name, labels, finalizers, generation, spec: event.object["spec"] };
    events.push(JSON.parse(JSON.stringify(shown)) as JsonValue);
  }
  stop.abort();
  return [...probe.answers, events];
}

const assets = realServerAssets();
if (assets !== undefined)
  describe("random sequences of operations", () => {
    const closing: (() => Promise<void>)[] = [];
    let real: Cluster;
    let embedded: Cluster;

    beforeAll(async () => {
      const server = await startRealApiServer(assets ?? "");
      closing.push(() => server.close());
      const directory = await mkdtemp(join(tmpdir(), "seam-sequences-"));
      const opened = await openEmbeddedCluster({ directory, clock: systemClock, random: systemRandom, log: silentLog });
      closing.push(async () => {
        await opened.close();
        await rm(directory, { recursive: true });
      });
      [real, embedded] = [server.cluster, opened];
      await Promise.all([prepare(real), prepare(embedded)]);
    }, 180_000);
    afterAll(async () => {
      for (const close of closing) await close();
    });

    const differs = async (steps: readonly Operation[]): Promise<readonly [JsonValue, JsonValue] | undefined> => {
      const [expected, actual] = await Promise.all([told(real, steps), told(embedded, steps)]);
      return isDeepStrictEqual(expected, actual) ? undefined : [expected, actual];
    };

    /** Leaves out whatever is not needed for the difference. */
    const shrunk = async (steps: readonly Operation[]): Promise<readonly Operation[]> => {
      for (let at = steps.length - 1; at >= 0; at--) {
        const fewer = steps.toSpliced(at, 1);
        if ((await differs(fewer)) !== undefined) return shrunk(fewer);
      }
      return steps;
    };

    it(`${SEQUENCES} of them: every answer and every watch is that of kube-apiserver`, async () => {
      const seeds = Array.from({ length: SEQUENCES }, (_, index) => FIRST_SEED + index);
      const different: number[] = [];
      const work = async (): Promise<void> => {
        for (let seed = seeds.shift(); seed !== undefined && different.length === 0; seed = seeds.shift())
          if ((await differs(operations(seed))) !== undefined) different.push(seed);
      };
      await Promise.all(Array.from({ length: AT_ONCE }, work));
      const [seed] = different;
      const least = seed === undefined ? [] : await shrunk(operations(seed));
      const [expected, actual] = (seed === undefined ? undefined : await differs(least)) ?? [[], []];
      expect({ seed, steps: least.map(({ text }) => text), answers: actual }).toEqual({
        seed: undefined,
        steps: [],
        answers: expected,
      });
    }, 180_000);
  });
if (assets === undefined)
  describe("random sequences of operations", () => {
    it("is skipped: no real server here, set KUBEBUILDER_ASSETS (.ci/real-parts)", (context) => {
      context.skip();
    });
  });

import { CustomResourceDefinition, Namespace } from "../../src/api/builtin.ts";
import type { CrdVersion } from "../../src/api/builtin.ts";
import type { KubeObject, Unstructured } from "../../src/api/object.ts";
import type { ResourceType } from "../../src/api/resource-type.ts";
import type { JsonObject } from "../../src/base/json.ts";
import { ApiStatusError } from "../../src/cluster/api-status-error.ts";
import type { Cluster, WatchEvent, WatchOptions } from "../../src/cluster/cluster.ts";

/** A cluster under test. */
export interface ConformanceTarget {
  readonly cluster: Cluster;
  readonly close: () => Promise<void>;
  /** Drops watch history, where the target can; without it cases about 410 are left out. */
  readonly compact?: () => Promise<void>;
  /** Whether garbage collection, namespace and CRD life cycles run (a bare kube-apiserver has none). */
  readonly controllers: boolean;
}

/** What cases work with: the cluster, and objects of their own in it. */
export interface Harness {
  readonly target: () => ConformanceTarget;
  readonly cluster: () => Cluster;
  /** A new namespace for one case. */
  readonly namespace: () => Promise<string>;
  /** Installs a CRD of a group of its own and resolves when it is served. */
  readonly customResource: (options: CustomResourceOptions) => Promise<ResourceType>;
}

/** A CRD in short form. */
export interface CustomResourceOptions {
  /** Schema of `spec`. */
  readonly spec: JsonObject;
  readonly status?: JsonObject;
  readonly root?: JsonObject;
  readonly version?: Partial<CrdVersion>;
}

const SERVED_WITHIN_ATTEMPTS = 200;

export function harnessOf(target: () => ConformanceTarget): Harness {
  let counter = 0;
  const unique = `${process.pid.toString(36)}${Math.floor(performance.now()).toString(36)}`;
  const cluster = (): Cluster => target().cluster;
  return {
    target,
    cluster,
    namespace: async () => {
      const created = await cluster().create(Namespace, {
        apiVersion: "v1",
        kind: "Namespace",
        metadata: { generateName: "conformance-" },
      });
      return created.metadata.name;
    },
    customResource: async ({ spec, status, root, version }) => {
      counter++;
      const group = `g${counter}x${unique}.conformance.example`;
      await cluster().create(CustomResourceDefinition, {
        apiVersion: "apiextensions.k8s.io/v1",
        kind: "CustomResourceDefinition",
        metadata: { name: `widgets.${group}` },
        spec: {
          group,
          scope: "Namespaced",
          names: { plural: "widgets", kind: "Widget", shortNames: [`w${counter}`] },
          versions: [
            {
              name: "v1",
              served: true,
              storage: true,
              schema: {
                openAPIV3Schema: {
                  type: "object",
                  properties: { spec, ...(status ? { status } : {}) },
                  ...root,
                },
              },
              ...version,
            },
          ],
        },
      });
      // A real API server begins to serve a kind some moments after it accepted the CRD.
      for (let attempt = 0; attempt < SERVED_WITHIN_ATTEMPTS; attempt++) {
        const found = (await cluster().discover()).byKind(group, "v1", "Widget");
        if (found) return found;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      throw new Error(`${group} is not served`);
    },
  };
}

/** A custom object of the kind {@link Harness.customResource} installs. */
export function widget(type: ResourceType, namespace: string, name: string, spec: JsonObject): Unstructured {
  return { apiVersion: `${type.group}/${type.version}`, kind: type.kind, metadata: { name, namespace }, spec };
}

/** The refusal of a call that must be refused. */
export async function refusal(call: Promise<unknown>): Promise<ApiStatusError> {
  let result: unknown;
  try {
    result = await call;
  } catch (error) {
    if (error instanceof ApiStatusError) return error;
    throw error;
  }
  throw new Error(`the call was not refused: ${JSON.stringify(result)}`);
}

/** Collects watch events until `count` are there; tells `onFirst` when the watch has begun to speak. */
export async function takeEvents<T extends KubeObject>(
  cluster: Cluster,
  type: ResourceType<T>,
  options: WatchOptions,
  count: number,
  onFirst: () => void = () => {},
): Promise<WatchEvent<T>[]> {
  const done = new AbortController();
  const events: WatchEvent<T>[] = [];
  for await (const event of cluster.watch(type, options, done.signal)) {
    events.push(event);
    if (events.length === 1) onFirst();
    if (events.length === count) {
      done.abort();
      break;
    }
  }
  return events;
}

/** `TYPE name` of each event. */
export function summary(events: readonly WatchEvent<KubeObject>[]): string[] {
  return events.map((event) =>
    event.type === "BOOKMARK" ? "BOOKMARK" : `${event.type} ${event.object.metadata.name}`,
  );
}

/** Waits until `get` is refused with 404. */
export async function untilGone(get: () => Promise<unknown>): Promise<void> {
  for (;;) {
    try {
      await get();
    } catch (error) {
      if (error instanceof ApiStatusError && error.code === 404) return;
      throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

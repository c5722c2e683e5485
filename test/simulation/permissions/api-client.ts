import type { KubeObject } from "../../../src/api/object.ts";
import { ApiStatusError } from "../../../src/cluster/api-status-error.ts";
import type { Cluster } from "../../../src/cluster/cluster.ts";
import type { Process } from "../process.ts";
import type { World } from "../world.ts";
import type { ObjectStore } from "./object-store.ts";

/** The client side of a simulated API server. */
export interface ApiClientParts {
  readonly world: World;
  readonly store: ObjectStore;
  readonly process: Process;
  /** A place where the process may die; true: it did. */
  boundary(): boolean;
  /** While true, requests fail now and then, before or after they took effect. */
  failing(): boolean;
  /** Hears of every object that was created or replaced, as the server has it. */
  readonly wrote?: (object: KubeObject) => void;
}

/** Requests of one process over the network: the process may die before one is sent and before its answer is read. */
export function apiClient(parts: ApiClientParts): Cluster {
  const { world, store } = parts;
  const ask = <T>(execute: () => T): Promise<T> => request(parts, execute);
  const told = <T extends KubeObject>(object: T): T => {
    parts.wrote?.(object);
    return object;
  };
  const elsewhere = (what: string) => (): never => {
    throw new ApiStatusError(405, "MethodNotAllowed", `${what} is not part of the simulation`);
  };
  world.stir();
  return {
    get: (type, key) => ask(() => store.get(type, key)),
    create: (type, object) => ask(() => told(store.create(type, object))),
    update: (type, object) => ask(() => told(store.update(type, object))),
    patch: (type, key, patch, options = {}) => ask(() => store.apply(type, key, patch, options)),
    delete: <T extends KubeObject>(...[type, key]: Parameters<Cluster["delete"]>) =>
      ask((): T | undefined => {
        store.delete(type, key);
        return undefined;
      }),
    list: elsewhere("list"),
    watch: elsewhere("watch"),
    updateStatus: elsewhere("updateStatus"),
    discover: elsewhere("discover"),
  };
}

function request<T>({ world, process, boundary, failing }: ApiClientParts, execute: () => T): Promise<T> {
  const { incarnation } = process;
  return new Promise((resolve, reject) => {
    process.after(world.between(0, 6), () => {
      if (boundary()) return;
      // From here on it takes place whatever becomes of the process.
      world.after(world.between(0, 6), () => {
        const lost = failing() && world.chance(0.3);
        const outcome = lost && world.chance(0.5) ? { error: away() } : outcomeOf(execute);
        if (incarnation !== process.incarnation) return;
        process.after(world.between(0, 4), () => {
          if (boundary()) return;
          world.stir();
          if (lost) reject(away());
          else if ("error" in outcome) reject(outcome.error);
          else resolve(outcome.value);
        });
      });
    });
  });
}

function outcomeOf<T>(execute: () => T): { readonly value: T } | { readonly error: Error } {
  try {
    return { value: execute() };
  } catch (error) {
    if (error instanceof ApiStatusError) return { error };
    throw error;
  }
}

function away(): ApiStatusError {
  return new ApiStatusError(503, "ServiceUnavailable", "the API server did not answer");
}

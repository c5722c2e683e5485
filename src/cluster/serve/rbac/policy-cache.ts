import {
  ClusterRole,
  ClusterRoleBinding,
  type RbacSubject,
  Role,
  RoleBinding,
  type RoleBindingObject,
  type RoleObject,
  type RoleRef,
} from "../../../api/builtin.ts";
import type { KubeObject } from "../../../api/object.ts";
import { type Rule, ruleOf } from "../../../api/rbac/rule.ts";
import type { ResourceType } from "../../../api/resource-type.ts";
import type { Clock } from "../../../base/clock.ts";
import { errorMessage } from "../../../base/errors.ts";
import type { Log } from "../../../base/log.ts";
import type { Random } from "../../../base/random.ts";
import { supervise } from "../../../base/supervise.ts";
import type { Cluster } from "../../cluster.ts";
import type { User } from "../user.ts";

/** A RoleBinding or ClusterRoleBinding as decisions use it. */
export interface Binding {
  readonly name: string;
  /** Empty for a ClusterRoleBinding. */
  readonly namespace: string;
  readonly roleRef: RoleRef;
}

/** A binding and the subject of it that a user is. */
export interface BoundSubject {
  readonly binding: Binding;
  readonly subject: RbacSubject;
}

/** What {@link PolicyCache} works with. */
export interface PolicyCacheOptions {
  readonly cluster: Cluster;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** The stored roles and bindings, kept up to date by four watches; holds no more than the cluster does. */
export class PolicyCache {
  /** Resolves when all four kinds have been read once; rejects when the signal aborts before. */
  readonly synced: Promise<void>;
  /** Resolves after the signal has aborted and the watches have ended. */
  readonly closed: Promise<void>;
  readonly #roles = new Map<string, readonly Rule[]>();
  readonly #clusterRoles = new Map<string, readonly Rule[]>();
  /** Bindings by namespace; the empty one holds ClusterRoleBindings. */
  readonly #scopes = new Map<string, BindingScope>();
  readonly #options: PolicyCacheOptions;

  constructor(options: PolicyCacheOptions) {
    this.#options = options;
    const role = (roles: Map<string, readonly Rule[]>) => ({
      set: (key: string, object: RoleObject) => roles.set(key, rulesOf(object)),
      delete: (key: string) => roles.delete(key),
    });
    const binding = {
      set: (_key: string, object: RoleBindingObject) => this.#scope(object).set(object),
      delete: (_key: string, object: RoleBindingObject) => this.#scope(object).delete(object.metadata.name),
    };
    const followed = [
      this.#follow(ClusterRole, role(this.#clusterRoles)),
      this.#follow(Role, role(this.#roles)),
      this.#follow(ClusterRoleBinding, binding),
      this.#follow(RoleBinding, binding),
    ];
    this.synced = Promise.all(followed.map((each) => each.synced)).then(() => undefined);
    this.closed = Promise.all(followed.map((each) => each.closed)).then(() => undefined);
  }

  /** Rules of a role; undefined when it does not exist. `namespace` is the one of the binding. */
  rules({ kind, name }: RoleRef, namespace: string): readonly Rule[] | undefined {
    return kind === "ClusterRole" ? this.#clusterRoles.get(name) : this.#roles.get(`${namespace}/${name}`);
  }

  /** Bindings of a namespace (empty: ClusterRoleBindings) that have `user` as a subject, each once, by name. */
  bindingsOf(user: User, namespace: string): readonly BoundSubject[] {
    return this.#scopes.get(namespace)?.bindingsOf(user) ?? [];
  }

  #scope({ metadata }: KubeObject): BindingScope {
    const namespace = metadata.namespace ?? "";
    const known = this.#scopes.get(namespace);
    if (known !== undefined) return known;
    const scope = new BindingScope(() => this.#scopes.delete(namespace));
    this.#scopes.set(namespace, scope);
    return scope;
  }

  #follow<T extends KubeObject>(type: ResourceType<T>, sink: Sink<T>): Followed {
    const { cluster, clock, random, log, signal } = this.#options;
    const first = Promise.withResolvers<void>();
    const known = new Map<string, T>();
    const events = {
      onFailure: (name: string, error: unknown) =>
        log.warn({ watch: name, error: errorMessage(error) }, "the watch of access rules starts again"),
    };
    const closed = supervise(
      type.resource,
      async (stop) => {
        const seen = new Set<string>();
        let initial = true;
        for await (const event of cluster.watch(type, { sendInitialEvents: true, allowWatchBookmarks: true }, stop)) {
          if (event.type === "BOOKMARK") {
            if (!initial || !event.initialEventsEnd) continue;
            initial = false;
            for (const [key, object] of known) {
              if (!seen.has(key)) forget(key, object);
            }
            first.resolve();
            continue;
          }
          const key = keyText(event.object);
          if (initial) seen.add(key);
          if (event.type === "DELETED") forget(key, event.object);
          else {
            known.set(key, event.object);
            sink.set(key, event.object);
          }
        }
      },
      signal,
      { clock, random, events },
    );
    const forget = (key: string, object: T): void => {
      known.delete(key);
      sink.delete(key, object);
    };
    void closed.then(() => first.reject(signal.reason));
    return { synced: first.promise, closed };
  }
}

interface Sink<T> {
  readonly set: (key: string, object: T) => void;
  readonly delete: (key: string, object: T) => void;
}

interface Followed {
  readonly synced: Promise<void>;
  readonly closed: Promise<void>;
}

/** The bindings of one namespace, found by subject. */
class BindingScope {
  readonly #objects = new Map<string, RoleBindingObject>();
  /** Built when it is asked for after a change. */
  #bySubject: ReadonlyMap<string, readonly BoundSubject[]> | undefined;
  readonly #onEmpty: () => void;

  constructor(onEmpty: () => void) {
    this.#onEmpty = onEmpty;
  }

  set(object: RoleBindingObject): void {
    this.#objects.set(object.metadata.name, object);
    this.#bySubject = undefined;
  }

  delete(name: string): void {
    this.#objects.delete(name);
    this.#bySubject = undefined;
    if (this.#objects.size === 0) this.#onEmpty();
  }

  bindingsOf(user: User): readonly BoundSubject[] {
    this.#bySubject ??= indexed(this.#objects.values());
    const found = new Map<Binding, BoundSubject>();
    const take = (key: string): void => {
      for (const bound of this.#bySubject?.get(key) ?? []) {
        if (!found.has(bound.binding)) found.set(bound.binding, bound);
      }
    };
    take(subjectKey("User", user.name));
    for (const group of user.groups) take(subjectKey("Group", group));
    return [...found.values()].sort((a, b) => (a.binding.name < b.binding.name ? -1 : 1));
  }
}

function indexed(objects: Iterable<RoleBindingObject>): ReadonlyMap<string, readonly BoundSubject[]> {
  const index = new Map<string, BoundSubject[]>();
  for (const { metadata, roleRef, subjects } of objects) {
    const namespace = metadata.namespace ?? "";
    const binding: Binding = { name: metadata.name, namespace, roleRef };
    for (const subject of subjects ?? []) {
      const key = keyOfSubject(subject, namespace);
      if (key === undefined) continue;
      const bound = index.get(key);
      if (bound === undefined) index.set(key, [{ binding, subject }]);
      else bound.push({ binding, subject });
    }
  }
  return index;
}

/** A ServiceAccount is the user of its name; one of a RoleBinding without a namespace is of the binding's. */
function keyOfSubject({ kind, name, namespace = "" }: RbacSubject, bindingNamespace: string): string | undefined {
  if (kind !== "ServiceAccount") return subjectKey(kind, name);
  const home = namespace === "" ? bindingNamespace : namespace;
  return home === "" ? undefined : subjectKey("User", `system:serviceaccount:${home}:${name}`);
}

function subjectKey(kind: "User" | "Group", name: string): string {
  return `${kind}/${name}`;
}

function keyText({ metadata }: KubeObject): string {
  return metadata.namespace === undefined ? metadata.name : `${metadata.namespace}/${metadata.name}`;
}

function rulesOf({ rules }: RoleObject): readonly Rule[] {
  return (rules ?? []).map(ruleOf);
}

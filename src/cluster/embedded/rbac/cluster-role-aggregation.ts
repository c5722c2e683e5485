import { isDeepStrictEqual } from "node:util";
import type { ClusterRoleObject } from "../../../api/builtin.ts";
import type { Unstructured } from "../../../api/object.ts";
import type { JsonObject } from "../../../base/json.ts";
import { ignoringGone } from "../garbage-collection/system-writes.ts";
import { LifecycleQueue } from "../garbage-collection/lifecycle-queue.ts";
import { patchObject } from "../requests/patch.ts";
import type { RequestContext } from "../requests/request-context.ts";
import { collectionId } from "../resources/served-resource.ts";
import { matchesLabels } from "../selectors/label-selector.ts";
import { selectorRequirements } from "../selectors/selector-object.ts";

const RBAC_GROUP = "rbac.authorization.k8s.io";
const CLUSTER_ROLES = collectionId(RBAC_GROUP, "clusterroles");
/** Field manager, as the controller of Kubernetes names itself. */
const MANAGER = "clusterrole-aggregation-controller";

/** Fills the rules of ClusterRoles that aggregate others (the clusterrole-aggregation controller). */
export class ClusterRoleAggregation {
  readonly #context: RequestContext;
  readonly #queue: LifecycleQueue;
  /** Names of the ClusterRoles with an aggregation rule. */
  readonly #aggregating = new Set<string>();

  constructor(context: RequestContext, signal: AbortSignal) {
    this.#context = context;
    const { clock, random, log } = context;
    this.#queue = new LifecycleQueue({
      name: "clusterrole-aggregation",
      clock,
      random,
      log,
      signal,
      reconcile: (name) => this.#reconcile(name),
    });
    for (const [name, { object }] of context.store.collection(CLUSTER_ROLES).entries()) this.#note(name, object);
    this.#recheck();
    context.store.subscribe((events) => {
      let changed = false;
      for (const event of events) {
        if (event.collection !== CLUSTER_ROLES) continue;
        if (event.type === "DELETED") this.#aggregating.delete(event.key);
        else this.#note(event.key, event.object);
        changed = true;
      }
      if (changed) this.#recheck();
    });
  }

  #note(name: string, object: Unstructured): void {
    if (asClusterRole(object).aggregationRule !== undefined) this.#aggregating.add(name);
    else this.#aggregating.delete(name);
  }

  #recheck(): void {
    for (const name of this.#aggregating) this.#queue.add(name);
  }

  async idle(): Promise<void> {
    await this.#queue.idle();
  }

  async #reconcile(name: string): Promise<void> {
    const roles = this.#context.store.collection(CLUSTER_ROLES);
    const role = roles.get(name)?.object;
    const resource = this.#context.registry.preferred(CLUSTER_ROLES);
    if (!resource || role === undefined) return;
    const rules: JsonObject[] = [];
    for (const selector of asClusterRole(role).aggregationRule?.clusterRoleSelectors ?? []) {
      const wanted = selectorRequirements(selector);
      // Collections are in the order of names: the result does not depend on who came first.
      for (const [other, { object }] of roles.entries()) {
        if (other === name || !matchesLabels(wanted, object.metadata.labels)) continue;
        for (const rule of asClusterRole(object).rules ?? []) {
          if (!rules.some((known) => isDeepStrictEqual(known, rule))) rules.push({ ...rule });
        }
      }
    }
    if (isDeepStrictEqual(rules, asClusterRole(role).rules ?? [])) return;
    const body = {
      apiVersion: `${RBAC_GROUP}/v1`,
      kind: "ClusterRole",
      metadata: { name },
      rules,
    };
    await ignoringGone(
      patchObject(this.#context, resource, { name }, { type: "apply", body }, { fieldManager: MANAGER, force: true }),
    );
  }
}

/** Stored ClusterRoles passed the schema of their kind. */
function asClusterRole(object: Unstructured): ClusterRoleObject {
  return object as unknown as ClusterRoleObject;
}

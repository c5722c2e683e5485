import { isDeepStrictEqual } from "node:util";
import type { ClusterRoleObject, PolicyRule, RoleBindingObject, RoleRef } from "../../../api/builtin.ts";
import type { KubeObject } from "../../../api/object.ts";
import { type Rule, ruleOf } from "../../../api/rbac/rule.ts";
import { ApiStatusError } from "../../api-status-error.ts";
import type { DiscoveredResource, WriteOptions } from "../../cluster.ts";
import { MASTERS_GROUP } from "../authorizer.ts";
import type { User } from "../user.ts";
import type { PolicyCache } from "./policy-cache.ts";
import { decide, rulesOf } from "./rbac-authorizer.ts";
import { compactRules, missingAtoms, quotedList, TooBroadError } from "./rule-cover.ts";

const RBAC = "rbac.authorization.k8s.io";
/** Whoever sets an aggregation rule may gather any rule there is. */
const EVERYTHING = [
  ruleOf({ verbs: ["*"], apiGroups: ["*"], resources: ["*"] }),
  ruleOf({ verbs: ["*"], nonResourceURLs: ["*"] }),
];

/** Where and what somebody writes. */
export interface PolicyWrite {
  readonly resource: DiscoveredResource;
  /** Of the request path: empty at the cluster scope. */
  readonly namespace: string;
  /** Of the request path: empty for a create. */
  readonly name: string;
}

/**
 * Nobody gives away what he does not have: a check of what `user` writes into roles and bindings; undefined when there is nothing to
 * check. It passes those who hold every rule of the role, or may `escalate` the role or `bind` the role a binding refers to. The check
 * throws ApiStatusError 403, and 404 for a binding of a role that does not exist.
 */
export function escalationCheck(policy: PolicyCache, user: User, write: PolicyWrite): WriteOptions["admit"] {
  const { resource } = write;
  if (resource.group !== RBAC || user.groups.includes(MASTERS_GROUP)) return undefined;
  switch (resource.resource) {
    case "roles":
    case "clusterroles":
      if (may(policy, user, "escalate", resource.resource, write.name, write.namespace)) return undefined;
      return (object, old) => {
        if (onlyCollects(object, old)) return;
        checkRole(policy, user, write, object, old);
      };
    case "rolebindings":
    case "clusterrolebindings":
      return (object, old) => {
        if (onlyCollects(object, old)) return;
        checkBinding(policy, user, write, object);
      };
    default:
      return undefined;
  }
}

function checkRole(policy: PolicyCache, user: User, write: PolicyWrite, object: KubeObject, old?: KubeObject): void {
  const role = asRole(object);
  const refused = excess(policy, user, write.namespace, (role.rules ?? []).map(ruleOf));
  if (refused !== undefined) throw refusal(write, object, refused);
  if (!aggregates(role) && !(old !== undefined && aggregates(asRole(old)))) return;
  if (excess(policy, user, write.namespace, EVERYTHING) !== undefined)
    throw refusal(write, object, "must have cluster-admin privileges to use the aggregationRule");
}

function checkBinding(policy: PolicyCache, user: User, write: PolicyWrite, object: KubeObject): void {
  // Objects come here before they are validated: what is no reference is refused there.
  const { roleRef }: { readonly roleRef?: Partial<RoleRef> } = object as RoleBindingObject;
  const { kind, name } = roleRef ?? {};
  if ((kind !== "Role" && kind !== "ClusterRole") || typeof name !== "string") return;
  const ref: RoleRef = { apiGroup: RBAC, kind, name };
  if (may(policy, user, "bind", kind === "Role" ? "roles" : "clusterroles", name, write.namespace)) return;
  const rules = policy.rules(ref, write.namespace);
  if (rules === undefined) {
    // kube-apiserver names the binding's resource and the role's name.
    const { resource } = write.resource;
    const message = `${resource}.${RBAC} ${JSON.stringify(name)} not found`;
    throw new ApiStatusError(404, "NotFound", message, { name, group: RBAC, kind: resource });
  }
  const refused = excess(policy, user, write.namespace, rules);
  if (refused !== undefined) throw refusal(write, object, refused);
}

function may(
  policy: PolicyCache,
  user: User,
  verb: string,
  resource: string,
  name: string,
  namespace: string,
): boolean {
  const version = "*";
  const attributes = {
    type: "resource",
    verb,
    group: RBAC,
    version,
    resource,
    subresource: "",
    name,
    namespace,
  } as const;
  return decide(policy, user, attributes).allowed;
}

/** What of `rules` the user does not hold, in the words of Kubernetes; undefined when he holds all of it. */
function excess(policy: PolicyCache, user: User, namespace: string, rules: readonly Rule[]): string | undefined {
  const held = rulesOf(policy, user, namespace);
  let missing: readonly Rule[];
  try {
    missing = missingAtoms(held.rules, rules);
  } catch (error) {
    if (error instanceof TooBroadError) return error.message;
    throw error;
  }
  if (missing.length === 0) return undefined;
  const who = `user ${JSON.stringify(user.name)} (groups=${quotedList(user.groups)})`;
  const unresolved = held.errors.length === 0 ? "" : `; resolution errors: [${held.errors.join(", ")}]`;
  return `${who} is attempting to grant RBAC permissions not currently held:\n${compactRules(missing).join("\n")}${unresolved}`;
}

function refusal({ resource }: PolicyWrite, object: KubeObject, why: string): ApiStatusError {
  const { name } = object.metadata;
  const what = `${resource.resource}.${RBAC} ${JSON.stringify(name)}`;
  const details = { name, group: RBAC, kind: resource.resource };
  return new ApiStatusError(403, "Forbidden", `${what} is forbidden: ${why}`, details);
}

/** A change of nothing but what garbage collection works with. */
function onlyCollects(object: KubeObject, old: KubeObject | undefined): boolean {
  return old !== undefined && isDeepStrictEqual(withoutCollection(object), withoutCollection(old));
}

function withoutCollection(object: KubeObject): object {
  const { ownerReferences: _owners, finalizers: _finalizers, managedFields: _managers, ...metadata } = object.metadata;
  return { ...object, metadata };
}

function aggregates({ aggregationRule }: ClusterRoleObject): boolean {
  return (aggregationRule?.clusterRoleSelectors ?? []).length > 0;
}

/** A role before validation: only maps of lists of texts are taken for rules, the rest is refused later. */
function asRole(object: KubeObject): ClusterRoleObject {
  const { rules, aggregationRule } = object as ClusterRoleObject;
  const { apiVersion, kind, metadata } = object;
  const readable = Array.isArray(rules) ? rules.filter(isRule) : [];
  return { apiVersion, kind, metadata, rules: readable, ...(aggregationRule ? { aggregationRule } : {}) };
}

function isRule(value: unknown): value is PolicyRule {
  if (typeof value !== "object" || value === null) return false;
  return Object.values(value).every((list) => Array.isArray(list) && list.every((item) => typeof item === "string"));
}

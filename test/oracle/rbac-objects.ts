import type { JsonObject } from "../../src/base/json.ts";
import { parseServiceAccountUser, serviceAccountUser } from "../../src/permissions/rules/principal.ts";
import { ruleToJson } from "../../src/permissions/rules/rule.ts";
import type { SnapshotContent, SnapshotSubject } from "../../src/permissions/snapshot/content.ts";
import type { RandomQuestion } from "./permission-worlds.ts";

/** A world as the objects a Kubernetes API server decides by (permissions §5.4), in the order in which they can be created. */
export interface RbacObjects {
  readonly clusterRoles: readonly JsonObject[];
  readonly clusterRoleBindings: readonly JsonObject[];
  readonly roleBindings: readonly JsonObject[];
}

const RBAC = "rbac.authorization.k8s.io";

/**
 * Translates content. Everybody's name gets a tag, so that many worlds stand side by side on one server and none meets the server's own
 * roles. A binding for every namespace becomes one in each of `namespaces`; one that has ended becomes nothing.
 */
export function rbacObjectsOf(
  content: SnapshotContent,
  tag: string,
  namespaces: readonly string[],
  nowMs: number,
): RbacObjects {
  const clusterRoles = content.ruleSets.map(({ id, rules }) => ({
    apiVersion: `${RBAC}/v1`,
    kind: "ClusterRole",
    metadata: { name: `${tag}-${id}` },
    rules: rules.map(ruleToJson),
  }));
  const clusterRoleBindings: JsonObject[] = [];
  const roleBindings: JsonObject[] = [];
  let count = 0;
  for (const subject of content.subjects)
    for (const { ruleSet, scope, namespaces: listed, expiresAt } of subject.bindings) {
      if (expiresAt !== "" && Date.parse(expiresAt) <= nowMs) continue;
      count += 1;
      const common = {
        apiVersion: `${RBAC}/v1`,
        roleRef: { apiGroup: RBAC, kind: "ClusterRole", name: `${tag}-${ruleSet}` },
        subjects: [subjectOf(subject, tag)],
      };
      const name = `${tag}-${count}`;
      if (scope === "cluster") clusterRoleBindings.push({ ...common, kind: "ClusterRoleBinding", metadata: { name } });
      else
        for (const namespace of listed.length > 0 ? listed : namespaces)
          roleBindings.push({ ...common, kind: "RoleBinding", metadata: { name, namespace } });
    }
  return { clusterRoles, clusterRoleBindings, roleBindings };
}

/** The question of a person of a tagged world. */
export function reviewOf({ user, groups, request }: RandomQuestion, tag: string): JsonObject {
  const asked =
    request.form === "path"
      ? { nonResourceAttributes: { path: request.path, verb: request.verb } }
      : {
          resourceAttributes: {
            verb: request.verb,
            group: request.apiGroup,
            resource: request.resource,
            subresource: request.subresource,
            name: request.name,
            namespace: request.namespace,
          },
        };
  return {
    apiVersion: "authorization.k8s.io/v1",
    kind: "SubjectAccessReview",
    spec: { user: tagged(user, tag), groups: groups.map((group) => tagged(group, tag)), ...asked },
  };
}

function subjectOf({ kind, namespace, name }: SnapshotSubject, tag: string): JsonObject {
  if (kind === "ServiceAccount") return { kind, namespace, name: `${name}.${tag}` };
  return { apiGroup: RBAC, kind, name: tagged(name, tag) };
}

/** The name of a service account is the last part of its user name. */
function tagged(user: string, tag: string): string {
  const account = parseServiceAccountUser(user);
  return account === undefined ? `${user}.${tag}` : serviceAccountUser(account.namespace, `${account.name}.${tag}`);
}

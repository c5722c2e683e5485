import type { RbacSubject } from "../../../api/builtin.ts";
import { groupMatches, nameMatches, pathMatches, resourceMatches, verbMatches } from "../../../api/rbac/match.ts";
import type { Rule } from "../../../api/rbac/rule.ts";
import { type AccessAttributes, type AccessDecision, type Authorizer, MASTERS_GROUP } from "../authorizer.ts";
import type { User } from "../user.ts";
import type { BoundSubject, PolicyCache } from "./policy-cache.ts";

/**
 * The RBAC authorizer of Kubernetes over cached roles and bindings: `system:masters` may do everything, everybody else what some
 * ClusterRoleBinding, or RoleBinding of the namespace, gives him. Reasons are worded as kube-apiserver words them.
 */
export function rbacAuthorizer(policy: PolicyCache): Authorizer {
  return {
    authorize: (user, attributes) => Promise.resolve(decide(policy, user, attributes)),
    rules: (user, namespace) => {
      const { rules, errors } = rulesOf(policy, user, namespace);
      return Promise.resolve({
        resourceRules: rules.filter(({ resources }) => resources.length > 0),
        nonResourceRules: rules.filter(({ nonResourceURLs }) => nonResourceURLs.length > 0),
        incomplete: errors.length > 0,
        evaluationError: aggregate(errors),
      });
    },
  };
}

/** What {@link rbacAuthorizer} answers, at once. */
export function decide(policy: PolicyCache, user: User, attributes: AccessAttributes): AccessDecision {
  if (user.groups.includes(MASTERS_GROUP)) return { allowed: true, reason: "" };
  const errors: string[] = [];
  for (const scope of scopesOf(attributes.type === "resource" ? attributes.namespace : "")) {
    for (const bound of policy.bindingsOf(user, scope)) {
      const rules = policy.rules(bound.binding.roleRef, scope);
      if (rules === undefined) errors.push(missingRole(bound));
      else if (rules.some((rule) => allows(rule, attributes)))
        return { allowed: true, reason: `RBAC: allowed by ${bindingText(bound)}` };
    }
  }
  return { allowed: false, reason: errors.length === 0 ? "" : `RBAC: ${aggregate(errors)}` };
}

/** Every rule that holds for `user` in `namespace`, and what could not be resolved. */
export function rulesOf(
  policy: PolicyCache,
  user: User,
  namespace: string,
): { readonly rules: readonly Rule[]; readonly errors: readonly string[] } {
  const rules: Rule[] = [];
  const errors: string[] = [];
  for (const scope of scopesOf(namespace)) {
    for (const bound of policy.bindingsOf(user, scope)) {
      const found = policy.rules(bound.binding.roleRef, scope);
      if (found === undefined) errors.push(missingRole(bound));
      else rules.push(...found);
    }
  }
  return { rules, errors };
}

/** ClusterRoleBindings speak first, then the RoleBindings of the namespace. */
function scopesOf(namespace: string): readonly string[] {
  return namespace === "" ? [""] : ["", namespace];
}

function allows(rule: Rule, attributes: AccessAttributes): boolean {
  if (!verbMatches(rule, attributes.verb)) return false;
  if (attributes.type === "nonResource") return pathMatches(rule, attributes.path);
  return (
    groupMatches(rule, attributes.group) &&
    resourceMatches(rule, attributes.resource, attributes.subresource) &&
    nameMatches(rule, attributes.name)
  );
}

function missingRole({ binding: { roleRef } }: BoundSubject): string {
  return `${roleRef.kind.toLowerCase()}.rbac.authorization.k8s.io ${JSON.stringify(roleRef.name)} not found`;
}

function bindingText({ binding, subject }: BoundSubject): string {
  const { name, namespace, roleRef } = binding;
  const role = `${roleRef.kind} ${JSON.stringify(roleRef.name)}`;
  const to = subjectText(subject, namespace);
  return namespace === ""
    ? `ClusterRoleBinding ${JSON.stringify(name)} of ${role} to ${to}`
    : `RoleBinding ${JSON.stringify(`${name}/${namespace}`)} of ${role} to ${to}`;
}

function subjectText({ kind, name, namespace = "" }: RbacSubject, bindingNamespace: string): string {
  if (kind !== "ServiceAccount") return `${kind} ${JSON.stringify(name)}`;
  return `${kind} ${JSON.stringify(`${name}/${namespace === "" ? bindingNamespace : namespace}`)}`;
}

/** Several errors as Kubernetes' aggregate shows them: each once, in brackets. */
function aggregate(errors: readonly string[]): string {
  const distinct = [...new Set(errors)];
  return distinct.length > 1 ? `[${distinct.join(", ")}]` : distinct.join("");
}

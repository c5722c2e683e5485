import type { AccessRequest } from "../../src/permissions/rules/access-request.ts";
import type { Rule } from "../../src/permissions/rules/rule.ts";
import type { SnapshotBinding, SnapshotContent, SnapshotSubject } from "../../src/permissions/snapshot/content.ts";

/**
 * The naive evaluator of permissions §16: a linear scan written from §5.3-5.6, sharing no code with the engine. It decides what is
 * right in the differential tests, and it is the floor beside which the bench prints the index.
 */
export type ScanOutcome = "allowed" | "conditional" | "noMatchingRule" | "unknown" | "suspended";

function anyOf(list: readonly string[], accept: (entry: string) => boolean): boolean {
  for (const entry of list) if (accept(entry)) return true;
  return false;
}

/** §5.3, resource rules without the name. */
function matchesButName(rule: Rule, request: AccessRequest & { readonly form: "resource" }): boolean {
  const wanted = [request.resource, request.subresource].filter((part) => part !== "").join("/");
  const combined = request.resource === "" && request.subresource !== "" ? `/${request.subresource}` : wanted;
  return (
    anyOf(rule.verbs, (verb) => verb === "*" || verb === request.verb) &&
    anyOf(rule.apiGroups, (group) => group === "*" || group === request.apiGroup) &&
    anyOf(
      rule.resources,
      (entry) =>
        entry === "*" || entry === combined || (request.subresource !== "" && entry === `*/${request.subresource}`),
    )
  );
}

function ruleSays(rule: Rule, request: AccessRequest): "yes" | "withName" | "no" {
  if (request.form === "path") {
    const verb = anyOf(rule.verbs, (v) => v === "*" || v === request.verb);
    const path = anyOf(
      rule.nonResourceURLs,
      (entry) =>
        entry === "*" ||
        entry === request.path ||
        (entry.endsWith("*") && request.path.startsWith(entry.replace(/\*+$/, ""))),
    );
    return verb && path ? "yes" : "no";
  }
  if (!matchesButName(rule, request)) return "no";
  if (rule.resourceNames.length === 0) return "yes";
  if (request.name === "") return anyOf(rule.resourceNames, (name) => name !== "") ? "withName" : "no";
  return anyOf(rule.resourceNames, (name) => name === request.name) ? "yes" : "no";
}

function inScope(binding: SnapshotBinding, request: AccessRequest): boolean {
  switch (binding.scope) {
    case "cluster":
      return true;
    case "namespaced":
      if (request.form === "path") return false;
      if (request.namespace === "") return false;
      return binding.namespaces.length === 0 || anyOf(binding.namespaces, (n) => n === request.namespace);
  }
}

/** True when a person of that name and with these groups is the subject (§5.5). */
export function isSubject(subject: SnapshotSubject, user: string, groups: readonly string[]): boolean {
  switch (subject.kind) {
    case "User":
      return subject.name === user;
    case "Group":
      return anyOf(groups, (group) => group === subject.name);
    case "ServiceAccount":
      return subject.namespace !== "" && `system:serviceaccount:${subject.namespace}:${subject.name}` === user;
  }
}

/** One decision by scanning everything. */
export function scanDecision(
  content: SnapshotContent,
  user: string,
  groups: readonly string[],
  request: AccessRequest,
  nowMs: number,
): ScanOutcome {
  if (anyOf(content.suspendedPrincipals, (principal) => principal === user)) return "suspended";
  let known = false;
  let conditional = false;
  for (const subject of content.subjects) {
    if (!isSubject(subject, user, groups)) continue;
    known = true;
    for (const binding of subject.bindings) {
      if (binding.expiresAt !== "" && Date.parse(binding.expiresAt) <= nowMs) continue;
      if (!inScope(binding, request)) continue;
      for (const ruleSet of content.ruleSets) {
        if (ruleSet.id !== binding.ruleSet) continue;
        for (const rule of ruleSet.rules) {
          const answer = ruleSays(rule, request);
          if (answer === "yes") return "allowed";
          if (answer === "withName") conditional = true;
        }
      }
    }
  }
  if (conditional) return "conditional";
  return known ? "noMatchingRule" : "unknown";
}

import { type AccessRequest, requestText } from "../rules/access-request.ts";
import { groupMatches, resourceMatches, verbMatches } from "../../api/rbac/match.ts";
import type { Rule } from "../rules/rule.ts";
import { scopeAdmits } from "../rules/scope.ts";
import type { PermissionIndex } from "../index/permission-index.ts";
import { CODE_OF_OUTCOME, type DecisionCode } from "./decision-code.ts";
import { MAX_CONDITIONAL_NAMES, type PrincipalContext, inForce } from "./principal-context.ts";

/** A decision of the engine. */
export interface Decision {
  readonly allowed: boolean;
  readonly code: DecisionCode;
  /** For people. */
  readonly reason: string;
  /** With CONDITIONAL_ON_NAME: names under which it is allowed, sorted. */
  readonly conditionalNames: readonly string[];
}

const NO_NAMES: readonly string[] = [];

/** Decides (permissions §5.6). `nowMs` is wall time, Unix milliseconds. */
export function check(
  index: PermissionIndex,
  principal: PrincipalContext,
  request: AccessRequest,
  nowMs: number,
): Decision {
  const code = CODE_OF_OUTCOME[index.decide(principal.user, principal.groups, request, nowMs)];
  const names = code === "CONDITIONAL_ON_NAME" ? conditionalNames(index, principal, request, nowMs) : NO_NAMES;
  return {
    allowed: code === "ALLOWED",
    code,
    reason: reasonText(code, principal.user, request, names),
    conditionalNames: names,
  };
}

/** True when a rule would allow a resource request if it carried the right name. */
export function allowsUnderSomeName(rule: Rule, request: AccessRequest): boolean {
  return (
    request.form === "resource" &&
    rule.resourceNames.length > 0 &&
    verbMatches(rule, request.verb) &&
    groupMatches(rule, request.apiGroup) &&
    resourceMatches(rule, request.resource, request.subresource)
  );
}

function conditionalNames(
  index: PermissionIndex,
  principal: PrincipalContext,
  request: AccessRequest,
  nowMs: number,
): readonly string[] {
  const names = new Set<string>();
  for (const { binding, ruleSet } of index.grants(principal.user, principal.groups)) {
    if (!inForce(binding.expiresAt, nowMs) || !scopeAdmits(binding, request)) continue;
    for (const rule of ruleSet.rules)
      if (allowsUnderSomeName(rule, request)) for (const name of rule.resourceNames) names.add(name);
  }
  return [...names].sort().slice(0, MAX_CONDITIONAL_NAMES);
}

function reasonText(code: DecisionCode, user: string, request: AccessRequest, names: readonly string[]): string {
  switch (code) {
    case "ALLOWED":
      return `a rule allows ${user} to ${requestText(request)}`;
    case "CONDITIONAL_ON_NAME":
      return `${user} may ${requestText(request)} only with one of the names ${names.slice(0, 5).join(", ")}${names.length > 5 ? ", …" : ""}`;
    case "PRINCIPAL_UNKNOWN":
      return `neither ${user} nor any of its groups has a binding in the snapshot`;
    case "PRINCIPAL_SUSPENDED":
      return `${user} is suspended`;
    default:
      return `no rule allows ${user} to ${requestText(request)}`;
  }
}

import { groupMatches, nameMatches, pathMatches, resourceMatches, verbMatches } from "../../api/rbac/match.ts";
import type { AccessRequest, ResourceRequest } from "./access-request.ts";
import type { Rule } from "./rule.ts";

/** Verb, group, resource and name; URLs play no part. */
export function ruleAllowsResource(rule: Rule, request: ResourceRequest): boolean {
  return (
    verbMatches(rule, request.verb) &&
    groupMatches(rule, request.apiGroup) &&
    resourceMatches(rule, request.resource, request.subresource) &&
    nameMatches(rule, request.name)
  );
}

/** True when `rule` allows `request`, scope aside. */
export function ruleAllows(rule: Rule, request: AccessRequest): boolean {
  return request.form === "resource"
    ? ruleAllowsResource(rule, request)
    : verbMatches(rule, request.verb) && pathMatches(rule, request.path);
}

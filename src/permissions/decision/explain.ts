import type { AccessRequest } from "../rules/access-request.ts";
import { groupMatches, nameMatches, pathMatches, resourceMatches, verbMatches } from "../../api/rbac/match.ts";
import type { Rule } from "../rules/rule.ts";
import { scopeAdmits } from "../rules/scope.ts";
import type { Grant, PermissionIndex } from "../index/permission-index.ts";
import { type Decision, check } from "./check.ts";
import { type PrincipalContext, inForce } from "./principal-context.ts";

/** In which respect a rule fails a request, in the order of how they are shown (permissions §11.2). */
export type FailedDimension =
  | "VERB"
  | "GROUP"
  | "RESOURCE"
  | "NAME"
  | "SCOPE"
  | "EXPIRED"
  | "SUSPENDED"
  | "TRIMMED_BY_CEILING";

/** A rule with the grant it stands in. */
export interface GrantedRule {
  readonly grant: Grant;
  readonly rule: Rule;
}

/** A rule that does not allow the request, with everything that fails. */
export interface NearMiss extends GrantedRule {
  readonly failed: readonly FailedDimension[];
  /** For people. */
  readonly detail: string;
}

/** A decision and its grounds. */
export interface Explanation {
  readonly decision: Decision;
  readonly matched: readonly GrantedRule[];
  /** Nearest first; empty when allowed. */
  readonly nearMisses: readonly NearMiss[];
}

/** Most matching rules shown. */
export const MAX_MATCHED = 50;
/** Most near misses shown (permissions §11.2). */
export const MAX_NEAR_MISSES = 5;
/** A rule that fails in more respects is no near miss. */
const MAX_FAILED = 3;

function failures(
  rule: Rule,
  grant: Grant,
  request: AccessRequest,
  nowMs: number,
): readonly FailedDimension[] | undefined {
  const isUrlRule = rule.nonResourceURLs.length > 0;
  if (isUrlRule !== (request.form === "path")) return undefined;
  const failed: FailedDimension[] = [];
  if (!verbMatches(rule, request.verb)) failed.push("VERB");
  if (request.form === "path") {
    if (!pathMatches(rule, request.path)) failed.push("RESOURCE");
  } else {
    if (!groupMatches(rule, request.apiGroup)) failed.push("GROUP");
    if (!resourceMatches(rule, request.resource, request.subresource)) failed.push("RESOURCE");
    if (!nameMatches(rule, request.name)) failed.push("NAME");
  }
  if (!scopeAdmits(grant.binding, request)) failed.push("SCOPE");
  if (!inForce(grant.binding.expiresAt, nowMs)) failed.push("EXPIRED");
  return failed;
}

function detail(failed: readonly FailedDimension[], rule: Rule, grant: Grant): string {
  return failed
    .map((dimension) => {
      switch (dimension) {
        case "VERB":
          return `verbs are ${rule.verbs.join(", ")}`;
        case "GROUP":
          return `API groups are ${rule.apiGroups.map((group) => (group === "" ? '""' : group)).join(", ")}`;
        case "RESOURCE":
          return rule.nonResourceURLs.length > 0
            ? `paths are ${rule.nonResourceURLs.join(", ")}`
            : `resources are ${rule.resources.join(", ")}`;
        case "NAME":
          return `names are ${rule.resourceNames.join(", ")}`;
        case "SCOPE":
          return grant.binding.namespaces.length > 0
            ? `the binding covers namespaces ${grant.binding.namespaces.join(", ")}`
            : "the binding covers namespaces only, not cluster-wide requests";
        case "EXPIRED":
          return `the grant ended ${grant.binding.expiresAt}`;
        case "SUSPENDED":
          return "the principal is suspended";
        case "TRIMMED_BY_CEILING":
          return "a ceiling does not cover it";
      }
    })
    .join("; ");
}

/** The decision of {@link check} for equal input, with every rule that allows it or those that come nearest. */
export function explain(
  index: PermissionIndex,
  principal: PrincipalContext,
  request: AccessRequest,
  nowMs: number,
): Explanation {
  const decision = check(index, principal, request, nowMs);
  const suspended = decision.code === "PRINCIPAL_SUSPENDED";
  const matched: GrantedRule[] = [];
  const misses: NearMiss[] = [];
  for (const grant of index.grants(principal.user, principal.groups)) {
    for (const rule of grant.ruleSet.rules) {
      const found = failures(rule, grant, request, nowMs);
      if (found === undefined) continue;
      const failed: readonly FailedDimension[] = suspended ? [...found, "SUSPENDED"] : found;
      if (failed.length === 0) {
        if (matched.length < MAX_MATCHED) matched.push({ grant, rule });
      } else if (!decision.allowed && failed.length <= MAX_FAILED) {
        keepNearest(misses, { grant, rule, failed, detail: detail(failed, rule, grant) });
      }
    }
  }
  return { decision, matched, nearMisses: misses };
}

/** Bounded insertion: at most {@link MAX_NEAR_MISSES}, fewest failures first, earlier grants before later ones. */
function keepNearest(misses: NearMiss[], miss: NearMiss): void {
  const last = misses.at(-1);
  if (misses.length === MAX_NEAR_MISSES && last !== undefined && last.failed.length <= miss.failed.length) return;
  const at = misses.findIndex((held) => held.failed.length > miss.failed.length);
  misses.splice(at < 0 ? misses.length : at, 0, miss);
  if (misses.length > MAX_NEAR_MISSES) misses.pop();
}

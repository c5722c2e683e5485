import { atOnce } from "../../base/next-turn.ts";
import { sortSteps } from "../../base/sort-steps.ts";
import { groupMatches, verbMatches } from "../../api/rbac/match.ts";
import type { Scope } from "../rules/scope.ts";
import type { PermissionIndex } from "../index/permission-index.ts";
import { type PrincipalContext, inForce } from "./principal-context.ts";

/** One kind of resource a verb may be used on, as the rules say it. */
export interface ResourceAccess {
  readonly apiGroup: string;
  readonly resource: string;
  readonly subresource: string;
  readonly scope: Scope;
  readonly namespaces: readonly string[];
  readonly names: readonly string[];
}

/** Entries that are looked at between two turns. */
const SLICE = 512;

/**
 * What a principal may use a verb on; rule level, without duplicates, sorted.
 *
 * @param apiGroup undefined means all groups
 * @param nowMs wall clock, Unix milliseconds
 */
export function lookupResources(
  index: PermissionIndex,
  principal: PrincipalContext,
  verb: string,
  apiGroup: string | undefined,
  nowMs: number,
): readonly ResourceAccess[] {
  return atOnce(lookupResourcesSteps(index, principal, verb, apiGroup, nowMs));
}

/** {@link lookupResources} in slices: yields where others may have their turn, so that a large answer holds up nobody. */
export function* lookupResourcesSteps(
  index: PermissionIndex,
  principal: PrincipalContext,
  verb: string,
  apiGroup: string | undefined,
  nowMs: number,
): Generator<void, readonly ResourceAccess[]> {
  if (index.isSuspended(principal.user)) return [];
  const found = new Map<string, { readonly key: string; readonly access: ResourceAccess }>();
  let work = 0;
  for (const { binding, ruleSet } of index.grants(principal.user, principal.groups)) {
    work++;
    if (!inForce(binding.expiresAt, nowMs)) continue;
    for (const rule of ruleSet.rules) {
      if (++work > SLICE) {
        work = 0;
        yield;
      }
      if (!verbMatches(rule, verb) || (apiGroup !== undefined && !groupMatches(rule, apiGroup))) continue;
      for (const group of rule.apiGroups)
        for (const entry of rule.resources) {
          if (++work > SLICE) {
            work = 0;
            yield;
          }
          if (apiGroup !== undefined && group !== apiGroup && group !== "*") continue;
          const slash = entry.indexOf("/");
          const access: ResourceAccess = {
            apiGroup: group,
            resource: slash < 0 ? entry : entry.slice(0, slash),
            subresource: slash < 0 ? "" : entry.slice(slash + 1),
            scope: binding.scope,
            namespaces: binding.namespaces,
            names: rule.resourceNames,
          };
          const key = keyOf(access);
          found.set(key, { key, access });
        }
    }
  }
  const sorted = yield* sortSteps([...found.values()]);
  return sorted.map(({ access }) => access);
}

function keyOf(access: ResourceAccess): string {
  return [
    access.apiGroup,
    access.resource,
    access.subresource,
    access.scope,
    access.namespaces.join(","),
    access.names.join(","),
  ].join("\0");
}

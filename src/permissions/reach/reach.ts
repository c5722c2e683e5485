import { resourceHalf } from "../algebra/rule-half.ts";
import type { Rule } from "../rules/rule.ts";
import type { ScopedGrant } from "../rules/scope.ts";

/** Rules with the place where they hold. */
export interface PlacedRules extends ScopedGrant {
  readonly rules: readonly Rule[];
}

/**
 * Everything somebody may do, by where it holds (permissions §5.4): `cluster` admits every request, `everyNamespace` requests in any
 * namespace, `namespaces` those in the one. Of namespaced grants only the resource halves count: a path is never asked in a namespace.
 */
export interface Reach {
  readonly cluster: readonly Rule[];
  readonly everyNamespace: readonly Rule[];
  readonly namespaces: ReadonlyMap<string, readonly Rule[]>;
}

/** No grants at all. */
export const NO_REACH: Reach = { cluster: [], everyNamespace: [], namespaces: new Map() };

/** Joins grants to a reach. Rules are concatenated, never merged (permissions §6.3). */
export function reachOf(grants: Iterable<PlacedRules>): Reach {
  const cluster: Rule[] = [];
  const everyNamespace: Rule[] = [];
  const namespaces = new Map<string, Rule[]>();
  for (const { scope, namespaces: only, rules } of grants) {
    if (scope === "cluster") {
      for (const rule of rules) cluster.push(rule);
      continue;
    }
    for (const rule of rules) {
      const half = resourceHalf(rule);
      if (half === undefined) continue;
      if (only.length === 0) everyNamespace.push(half);
      else for (const namespace of new Set(only)) push(namespaces, namespace, half);
    }
  }
  return { cluster, everyNamespace, namespaces };
}

/** The reach in a cluster that has only these namespaces: what holds in every one holds in each of them. */
export function inNamespaces(reach: Reach, existing: Iterable<string>): Reach {
  if (reach.everyNamespace.length === 0) return reach;
  const namespaces = new Map(reach.namespaces);
  for (const namespace of existing)
    namespaces.set(namespace, [...(namespaces.get(namespace) ?? []), ...reach.everyNamespace]);
  return { cluster: reach.cluster, everyNamespace: [], namespaces };
}

function push(map: Map<string, Rule[]>, key: string, rule: Rule): void {
  const held = map.get(key);
  if (held === undefined) map.set(key, [rule]);
  else held.push(rule);
}

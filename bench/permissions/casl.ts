import { type MongoAbility, type RawRuleOf, createMongoAbility, subject } from "@casl/ability";
import type { SnapshotContent } from "../../src/permissions/snapshot/content.ts";
import { isSubject } from "../../test/oracle/permission-scan.ts";
import type { BenchQuestion } from "./world.ts";

type CaslRule = RawRuleOf<MongoAbility>;

/**
 * The grants of one person in the words of CASL, whose unit is an ability per person: an action, a type of subject, and conditions on name
 * and namespace. What a person's groups are is known beforehand here, which flatters CASL: it has no index from groups to grants.
 */
export function caslAbility(content: SnapshotContent, user: string, groups: readonly string[]): MongoAbility {
  const rulesOf = new Map(content.ruleSets.map(({ id, rules }) => [id, rules]));
  const granted: CaslRule[] = [];
  for (const holder of content.subjects) {
    if (!isSubject(holder, user, groups)) continue;
    for (const binding of holder.bindings)
      for (const rule of rulesOf.get(binding.ruleSet) ?? []) {
        const conditions = {
          ...(binding.scope === "namespaced" && { namespace: { $in: [...binding.namespaces] } }),
          ...(rule.resourceNames.length > 0 && { name: { $in: [...rule.resourceNames] } }),
        };
        const action = rule.verbs.includes("*") ? "manage" : [...rule.verbs];
        for (const apiGroup of rule.apiGroups)
          for (const resource of rule.resources)
            granted.push(
              resource === "*"
                ? { action, subject: "all", conditions: { ...conditions, group: apiGroup } }
                : {
                    action,
                    subject: `${apiGroup}/${resource}`,
                    ...(Object.keys(conditions).length > 0 && { conditions }),
                  },
            );
      }
  }
  return createMongoAbility(granted);
}

/** One decision. */
export function caslDecides(ability: MongoAbility, { request }: BenchQuestion): boolean {
  if (request.form === "path") return false;
  const { verb, apiGroup, resource, subresource, name, namespace } = request;
  const type = `${apiGroup}/${resource}${subresource === "" ? "" : `/${subresource}`}`;
  return ability.can(verb, subject(type, { group: apiGroup, name, namespace }));
}

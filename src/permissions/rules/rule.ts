import type { JsonObject } from "../../base/json.ts";
import type { Rule } from "../../api/rbac/rule.ts";

export { type Rule, type RuleInput, ruleOf } from "../../api/rbac/rule.ts";

/** JSON form: empty lists do not exist (permissions §6.4). */
export function ruleToJson(rule: Rule): JsonObject {
  return {
    ...(rule.apiGroups.length > 0 && { apiGroups: rule.apiGroups }),
    ...(rule.nonResourceURLs.length > 0 && { nonResourceURLs: rule.nonResourceURLs }),
    ...(rule.resourceNames.length > 0 && { resourceNames: rule.resourceNames }),
    ...(rule.resources.length > 0 && { resources: rule.resources }),
    ...(rule.verbs.length > 0 && { verbs: rule.verbs }),
  };
}

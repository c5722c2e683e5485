import { isMap, jsonEqual, member, memberMap, memberText } from "../../json/mutable-json.ts";
import { type FieldError, invalidValue, notSupported, required } from "../../status-errors.ts";
import type { KindRules } from "../served-resource.ts";

const RBAC_GROUP = "rbac.authorization.k8s.io";

export const roleRules: KindRules = {
  validate(object) {
    const rules = member(object, "rules");
    if (!Array.isArray(rules)) return [];
    return rules.flatMap((rule, i) => {
      const verbs = isMap(rule) ? member(rule, "verbs") : undefined;
      const missing = !Array.isArray(verbs) || verbs.length === 0;
      return missing ? [required(`rules[${i}].verbs`, "verbs must contain at least one value")] : [];
    });
  },
};

export const roleBindingRules: KindRules = {
  applyDefaults(object) {
    const roleRef = memberMap(object, "roleRef");
    if (roleRef && !roleRef["apiGroup"]) roleRef["apiGroup"] = RBAC_GROUP;
    const subjects = member(object, "subjects");
    if (!Array.isArray(subjects)) return;
    for (const subject of subjects) {
      if (!isMap(subject) || subject["apiGroup"]) continue;
      if (subject["kind"] === "User" || subject["kind"] === "Group") subject["apiGroup"] = RBAC_GROUP;
    }
  },
  validate(object, old) {
    const errors: FieldError[] = [];
    const roleRef = memberMap(object, "roleRef");
    if (roleRef) {
      const kinds = ["Role", "ClusterRole"];
      if (!kinds.includes(memberText(roleRef, "kind")))
        errors.push(notSupported("roleRef.kind", roleRef["kind"], kinds));
      if (roleRef["apiGroup"] !== RBAC_GROUP) {
        errors.push(notSupported("roleRef.apiGroup", roleRef["apiGroup"], [RBAC_GROUP]));
      }
    }
    if (old && !jsonEqual(member(old, "roleRef"), member(object, "roleRef"))) {
      errors.push(invalidValue("roleRef", member(object, "roleRef"), "cannot change roleRef"));
    }
    const subjects = member(object, "subjects");
    const clusterScoped = member(memberMap(object, "metadata") ?? {}, "namespace") === undefined;
    if (Array.isArray(subjects)) {
      subjects.forEach((subject, i) => {
        if (!isMap(subject)) return;
        const kinds = ["ServiceAccount", "User", "Group"];
        if (!kinds.includes(memberText(subject, "kind"))) {
          errors.push(notSupported(`subjects[${i}].kind`, subject["kind"], kinds));
        }
        if (subject["kind"] === "ServiceAccount" && clusterScoped && !subject["namespace"]) {
          errors.push(required(`subjects[${i}].namespace`));
        }
      });
    }
    return errors;
  },
};

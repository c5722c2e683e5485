import { isMap, type Json, jsonEqual, type JsonMap, member, memberMap, memberText } from "../../json/mutable-json.ts";
import { nameProblem } from "../../metadata/names.ts";
import { type FieldError, invalidValue, notSupported, required } from "../../status-errors.ts";
import type { KindRules } from "../served-resource.ts";

const RBAC_GROUP = "rbac.authorization.k8s.io";

export const roleRules: KindRules = {
  validate(object) {
    const rules = member(object, "rules");
    if (!Array.isArray(rules)) return [];
    const namespaced = object["kind"] === "Role";
    return rules.filter(isMap).flatMap((rule, i) => checkRule(rule, `rules[${i}]`, namespaced));
  },
};

function checkRule(rule: JsonMap, path: string, namespaced: boolean): FieldError[] {
  const errors: FieldError[] = [];
  const listOf = (field: string): readonly Json[] => {
    const value = member(rule, field);
    return Array.isArray(value) ? value : [];
  };
  if (listOf("verbs").length === 0) errors.push(required(`${path}.verbs`, "verbs must contain at least one value"));
  const urls = listOf("nonResourceURLs");
  if (urls.length > 0) {
    const at = `${path}.nonResourceURLs`;
    if (namespaced) errors.push(invalidValue(at, urls, "namespaced rules cannot apply to non-resource URLs"));
    if (["apiGroups", "resources", "resourceNames"].some((field) => listOf(field).length > 0)) {
      errors.push(invalidValue(at, urls, "rules cannot apply to both regular resources and non-resource URLs"));
    }
    return errors;
  }
  if (listOf("apiGroups").length === 0) {
    errors.push(required(`${path}.apiGroups`, "resource rules must supply at least one api group"));
  }
  if (listOf("resources").length === 0) {
    errors.push(required(`${path}.resources`, "resource rules must supply at least one resource"));
  }
  return errors;
}

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
      if (memberText(roleRef, "name") === "") errors.push(required("roleRef.name"));
      if (roleRef["apiGroup"] !== RBAC_GROUP) {
        errors.push(notSupported("roleRef.apiGroup", roleRef["apiGroup"], [RBAC_GROUP]));
      }
    }
    if (old && !jsonEqual(member(old, "roleRef"), member(object, "roleRef"))) {
      const { apiGroup, kind, name } = roleRef ?? {};
      const shown = { APIGroup: apiGroup ?? "", Kind: kind ?? "", Name: name ?? "" };
      errors.push(invalidValue("roleRef", shown, "cannot change roleRef"));
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
        const name = memberText(subject, "name");
        const isAccount = subject["kind"] === "ServiceAccount";
        if (name === "") errors.push(required(`subjects[${i}].name`));
        const problem = isAccount && name !== "" ? nameProblem("subdomain", name) : undefined;
        if (problem) errors.push(invalidValue(`subjects[${i}].name`, name, problem));
        const group = isAccount ? "" : RBAC_GROUP;
        if ((subject["apiGroup"] ?? "") !== group) {
          errors.push(notSupported(`subjects[${i}].apiGroup`, subject["apiGroup"], [group]));
        }
        if (isAccount && clusterScoped && !subject["namespace"]) {
          errors.push(required(`subjects[${i}].namespace`));
        }
      });
    }
    return errors;
  },
};

import type { PermissionSet } from "../../api/kinds/permission-set.ts";
import { lintRules } from "../rules/rule-lint.ts";
import { findingText, validateRules } from "../rules/rule-validation.ts";
import { type Verdict, objectText, passed, refused } from "./verdict.ts";

/** Checks a PermissionSet (permissions §7.1); condition PermissionSetValid. */
export function validatePermissionSet(set: PermissionSet): Verdict {
  const object = objectText("PermissionSet", set.metadata);
  const { permissions } = set.spec;
  const warnings = lintRules(permissions, "spec.permissions").map(findingText);
  const failed = validateRules(permissions, "spec.permissions").map(({ field, message, remedy }) => ({
    check: "RulesValid",
    object,
    field,
    expected: message,
    remedy,
  }));
  return failed.length === 0
    ? passed("Valid", `${permissions.length} rules`, warnings)
    : refused("Invalid", failed, warnings);
}

import type { PermissionSet } from "../../api/kinds/permission-set.ts";
import { excessOver } from "../ceilings/excess.ts";
import { lintRules } from "../rules/rule-lint.ts";
import type { RuleInput } from "../rules/rule.ts";
import { findingText, validateRules } from "../rules/rule-validation.ts";
import { type Verdict, objectText, passed, refused } from "./verdict.ts";

/** Reason of a `cluster-maximum` that is wider than the fleet's ceiling; what it grants is trimmed all the same (permissions §4.5). */
const CEILING_EXCEEDED = "CeilingExceeded";

/**
 * Checks a PermissionSet (permissions §7.1); condition PermissionSetValid.
 *
 * @param fleet rules of `management-maximum`, for a set that must lie under them: `cluster-maximum` (permissions §4.5)
 */
export function validatePermissionSet(set: PermissionSet, fleet?: readonly RuleInput[]): Verdict {
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
  if (failed.length > 0) return refused("Invalid", failed, warnings);
  const excess = fleet === undefined ? [] : excessOver(fleet, permissions);
  if (excess.length === 0) return passed("Valid", `${permissions.length} rules`, warnings);
  const check = {
    check: "CeilingHeld",
    object,
    field: "spec.permissions",
    expected: `rules within management-maximum, found beyond it: ${excess.join(", ")}`,
    remedy: "remove them; they are not granted in any case",
  };
  return refused(CEILING_EXCEEDED, [check], warnings);
}

/** True when a set may be declared and may be a ceiling: its rules are well-formed. */
export function isUsableSet(verdict: Verdict): boolean {
  return verdict.ok || verdict.reason === CEILING_EXCEEDED;
}

import { isMap, type Json, member, memberMap } from "../../json/mutable-json.ts";
import { type FieldError, invalidValue, notSupported, required } from "../../status-errors.ts";
import type { KindRules } from "../served-resource.ts";

const ACCESS_MODES = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];

export const claimRules: KindRules = {
  validate(object) {
    const spec = memberMap(object, "spec") ?? {};
    const errors: FieldError[] = [];
    const modes = member(spec, "accessModes");
    if (!Array.isArray(modes) || modes.length === 0) {
      errors.push(required("spec.accessModes", "at least 1 access mode is required"));
    } else {
      for (const mode of modes) {
        if (!ACCESS_MODES.some((known) => known === mode))
          errors.push(notSupported("spec.accessModes", mode, ACCESS_MODES));
      }
    }
    const requests = memberMap(memberMap(spec, "resources") ?? {}, "requests");
    if (requests?.["storage"] === undefined) errors.push(required("spec.resources[storage]"));
    return errors;
  },
};

export const disruptionBudgetRules: KindRules = {
  validate(object) {
    const spec = memberMap(object, "spec") ?? {};
    const { minAvailable, maxUnavailable } = spec;
    const errors: FieldError[] = [];
    if (minAvailable !== undefined && maxUnavailable !== undefined) {
      const shown: Json = {
        MinAvailable: minAvailable,
        Selector: isMap(spec["selector"]) ? spec["selector"] : null,
        MaxUnavailable: maxUnavailable,
        UnhealthyPodEvictionPolicy: spec["unhealthyPodEvictionPolicy"] ?? null,
      };
      errors.push(invalidValue("spec", shown, "minAvailable and maxUnavailable cannot be both set"));
    }
    for (const [field, value] of Object.entries({ minAvailable, maxUnavailable })) {
      if (typeof value === "number" && value < 0) {
        errors.push(invalidValue(`spec.${field}`, value, "must be greater than or equal to 0"));
      } else if (typeof value === "string" && !/^[0-9]+%$/.test(value)) {
        errors.push(
          invalidValue(
            `spec.${field}`,
            value,
            "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')",
          ),
        );
      }
    }
    return errors;
  },
};

import { member, memberMap, memberText } from "../../json/mutable-json.ts";
import { type FieldError, invalidValue } from "../../status-errors.ts";
import type { KindRules } from "../served-resource.ts";

export const leaseRules: KindRules = {
  validate(object) {
    const spec = memberMap(object, "spec") ?? {};
    const errors: FieldError[] = [];
    const { leaseDurationSeconds: duration, leaseTransitions: transitions } = spec;
    if (typeof duration === "number" && duration <= 0) {
      errors.push(invalidValue("spec.leaseDurationSeconds", duration, "must be greater than 0"));
    }
    if (typeof transitions === "number" && transitions < 0) {
      errors.push(invalidValue("spec.leaseTransitions", transitions, "must be greater than or equal to 0"));
    }
    return errors;
  },
};

export const eventRules: KindRules = {
  validate(object) {
    const about = memberText(memberMap(object, "involvedObject"), "namespace");
    const own = memberText(memberMap(object, "metadata"), "namespace");
    // Events of objects at the cluster scope are in the default namespace.
    const fits = about === own || (about === "" && own === "default");
    const why = "does not match event.namespace";
    return fits
      ? []
      : [
          invalidValue(
            "involvedObject.namespace",
            member(memberMap(object, "involvedObject") ?? {}, "namespace") ?? "",
            why,
          ),
        ];
  },
};

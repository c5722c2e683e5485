import { memberMap } from "../../json/mutable-json.ts";
import type { KindRules } from "../served-resource.ts";

export const networkPolicyRules: KindRules = {
  applyDefaults(object) {
    const spec = memberMap(object, "spec");
    if (!spec || Array.isArray(spec["policyTypes"])) return;
    const egress = Array.isArray(spec["egress"]) && spec["egress"].length > 0;
    spec["policyTypes"] = egress ? ["Ingress", "Egress"] : ["Ingress"];
  },
};

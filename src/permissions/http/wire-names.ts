import {
  type DecisionCode,
  DecisionCodeSchema,
  type Freshness,
  FreshnessSchema,
} from "../../api/gen/ontai/security/v1alpha1/permission_pb.ts";

/** Name of a code, as the contract spells it. */
export function codeName(code: DecisionCode): string {
  return DecisionCodeSchema.value[code]?.name ?? String(code);
}

/** Name of a freshness. */
export function freshnessName(freshness: Freshness): string {
  return FreshnessSchema.value[freshness]?.name ?? String(freshness);
}

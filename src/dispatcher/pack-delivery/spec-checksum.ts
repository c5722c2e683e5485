import { canonicalJson } from "../../base/canonical-json.ts";
import { digestOf } from "../../base/digest.ts";
import type { JsonObject } from "../../base/json.ts";
import type { PackDeliverySpec } from "../../api/kinds/pack-delivery.ts";

/** `v2:sha256:<hex>` over the canonical spec without `rollbackToRevision` (dispatcher §4.1 step 5). */
export function specChecksum(spec: PackDeliverySpec): string {
  const { rollbackToRevision: _mutable, ...immutable } = spec;
  return `v2:${digestOf(canonicalJson(immutable as unknown as JsonObject))}`;
}

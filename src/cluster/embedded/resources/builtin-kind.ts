import type { JsonObject } from "../../../base/json.ts";
import type { NameRule } from "../metadata/names.ts";
import type { KindRules } from "./served-resource.ts";

/** One built-in kind: what distinguishes it from the usual. Defaults: core group, v1, namespaced, no subresource, no generation. */
export interface BuiltinKind {
  readonly group?: string;
  readonly version?: string;
  readonly resource: string;
  readonly kind: string;
  readonly scope?: "Cluster";
  readonly short?: readonly string[];
  readonly categories?: readonly string[];
  readonly status?: true;
  readonly scale?: true;
  readonly finalize?: true;
  readonly generation?: true;
  readonly names?: NameRule;
  readonly fields?: readonly string[];
  readonly shape?: JsonObject;
  /** Status of a new object; absent means none. */
  readonly initialStatus?: JsonObject;
  readonly rules?: KindRules;
}

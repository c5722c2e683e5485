import { canonicalJson } from "../base/canonical-json.ts";
import type { Clock } from "../base/clock.ts";
import { type JsonObject, type JsonValue, isJsonObject } from "../base/json.ts";
import { type ConditionUpdate, mergeConditions } from "../api/conditions.ts";
import type { Condition } from "../api/kinds/condition.ts";
import { type KubeObject, keyOf } from "../api/object.ts";
import { type ResourceType, apiVersionOf } from "../api/resource-type.ts";
import type { Cluster } from "../cluster/cluster.ts";

/** Everything one writer has to say in the status of an object. What it said before and leaves out now is removed. */
export interface StatusContent {
  /** Fields of `status` this writer owns, whole; undefined members are left out. */
  readonly fields?: object;
  /** Conditions this writer owns. */
  readonly conditions?: readonly ConditionUpdate[];
  /** Write only when the object is as it was read: anything else in between is a 409 Conflict. */
  readonly unchanged?: true;
}

/**
 * Writes one manager's part of an object's status by server-side apply: other managers' fields and conditions stay as they are
 * (R2 of resources-seam §14). Nothing is sent when the object already says all of it and nothing more for this manager (R-7.6).
 *
 * @returns the object as it is now
 * @throws ApiStatusError 404 when it is gone; 409 with `unchanged` when it changed since it was read
 */
export async function applyStatus<T extends KubeObject & { readonly status?: object }>(
  parts: { readonly cluster: Cluster; readonly clock: Clock },
  type: ResourceType<T>,
  current: T,
  content: StatusContent,
  manager: string,
): Promise<T> {
  const status = plain(current.status ?? {});
  const existing = (status["conditions"] ?? []) as unknown as readonly Condition[];
  const types = new Set((content.conditions ?? []).map((condition) => condition.type));
  const conditions = mergeConditions(
    existing.filter((condition) => types.has(condition.type)),
    content.conditions ?? [],
    parts.clock.now(),
  );
  const desired: JsonObject = {
    ...plain(content.fields ?? {}),
    ...(conditions.length === 0 ? {} : { conditions: plain({ conditions })["conditions"] }),
  };
  if (says(status, desired) && !ownsMore(current, desired, types, manager)) return current;
  const { name, namespace, resourceVersion } = current.metadata;
  const precondition = content.unchanged === true && resourceVersion !== undefined ? { resourceVersion } : {};
  return parts.cluster.patch(
    type,
    keyOf(current),
    {
      type: "apply",
      body: {
        apiVersion: apiVersionOf(type),
        kind: type.kind,
        metadata: { name, ...(namespace === undefined ? {} : { namespace }), ...precondition },
        status: desired,
      },
    },
    { fieldManager: manager, force: true, subresource: "status" },
  );
}

/** The object as JSON: undefined members gone. */
function plain(value: object): JsonObject {
  return JSON.parse(JSON.stringify(value)) as JsonObject;
}

/** True when `status` already holds everything in `desired`. */
function says(status: JsonObject, desired: JsonObject): boolean {
  return Object.entries(desired).every(([field, value]) => {
    const held = status[field];
    if (held === undefined || value === undefined) return value === undefined;
    if (field !== "conditions") return canonicalJson(held) === canonicalJson(value);
    const byType = new Map((held as unknown as readonly Condition[]).map((condition) => [condition.type, condition]));
    return (value as unknown as readonly Condition[]).every((condition) => {
      const old = byType.get(condition.type);
      return old !== undefined && canonicalJson(plain(old)) === canonicalJson(plain(condition));
    });
  });
}

/** True when managedFields name a status field or condition for `manager` that it no longer says. */
function ownsMore(object: KubeObject, desired: JsonObject, types: ReadonlySet<string>, manager: string): boolean {
  for (const entry of object.metadata.managedFields ?? []) {
    if (entry.manager !== manager || entry.operation !== "Apply" || entry.subresource !== "status") continue;
    const fields = entry.fieldsV1["f:status"];
    if (!isJsonObject(fields)) continue;
    for (const [field, below] of Object.entries(fields)) {
      if (!field.startsWith("f:")) continue;
      const name = field.slice(2);
      if (name === "conditions" ? ownsOtherCondition(below, types) : desired[name] === undefined) return true;
    }
  }
  return false;
}

function ownsOtherCondition(fields: JsonValue | undefined, types: ReadonlySet<string>): boolean {
  if (!isJsonObject(fields)) return false;
  return Object.keys(fields).some((key) => {
    if (!key.startsWith("k:")) return false;
    const parsed: unknown = JSON.parse(key.slice(2));
    return isJsonObject(parsed) && typeof parsed["type"] === "string" && !types.has(parsed["type"]);
  });
}

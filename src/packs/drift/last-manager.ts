import type { KubeObject, ManagedFieldsEntry } from "../../api/object.ts";
import { type JsonObject, type JsonValue, isJsonObject } from "../../base/json.ts";
import { PACK_FIELD_MANAGER } from "../apply/ownership.ts";

/**
 * Field manager that last wrote one of `paths`, for people. Where nobody owns them any more (they were removed), the last other
 * manager that wrote the object at all; empty when there is none.
 */
export function lastManager(live: KubeObject, paths: readonly (readonly string[])[]): string {
  const others = (live.metadata.managedFields ?? []).filter(
    (entry) => entry.manager !== PACK_FIELD_MANAGER && !entry.subresource,
  );
  const owners = others.filter((entry) => paths.some((path) => owns(entry, live, path)));
  return latest(owners) ?? latest(others) ?? "";
}

function latest(entries: readonly ManagedFieldsEntry[]): string | undefined {
  let found: ManagedFieldsEntry | undefined;
  for (const entry of entries) if (found === undefined || (entry.time ?? "") >= (found.time ?? "")) found = entry;
  return found?.manager;
}

function owns(entry: ManagedFieldsEntry, live: KubeObject, path: readonly string[]): boolean {
  let fields: JsonObject | undefined = entry.fieldsV1;
  let value = live as unknown as JsonValue | undefined;
  for (const segment of path) {
    if (fields === undefined) return false;
    const next: readonly [JsonValue | undefined, JsonValue | undefined] = Array.isArray(value)
      ? [
          (value as readonly JsonValue[])[Number(segment)],
          entryFields(fields, (value as readonly JsonValue[])[Number(segment)]),
        ]
      : [isJsonObject(value) ? value[segment] : undefined, fields[`f:${segment}`]];
    value = next[0];
    // A leaf owns everything below it: atomic lists and maps.
    if (isJsonObject(next[1]) && Object.keys(next[1]).length === 0) return true;
    fields = isJsonObject(next[1]) ? next[1] : undefined;
  }
  return fields !== undefined;
}

function entryFields(fields: JsonObject, entry: JsonValue | undefined): JsonValue | undefined {
  for (const [field, below] of Object.entries(fields)) {
    if (!field.startsWith("k:")) continue;
    const key: unknown = JSON.parse(field.slice(2));
    if (isJsonObject(key) && isJsonObject(entry) && Object.entries(key).every(([name, value]) => entry[name] === value))
      return below;
  }
  return undefined;
}

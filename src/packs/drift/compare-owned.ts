import type { KubeObject } from "../../api/object.ts";
import { type JsonObject, type JsonValue, isJsonObject } from "../../base/json.ts";
import { PACK_FIELD_MANAGER } from "../apply/ownership.ts";
import { isQuantityPath, sameQuantity } from "./quantity.ts";

/**
 * Paths at which a live object differs from what the pack says, looking only at fields the pack says something about. Pure: what the
 * server adds (defaults, status, fields of other managers, further list entries) is none of the pack's business; quantities compare
 * by value; lists merge as the server merges them, by the keys our managed fields show.
 *
 * An empty result is certain. A path may be a false alarm where only the server knows that two texts mean the same; see
 * {@link file://./check-object-drift.ts} for who decides then.
 *
 * @param limit paths to find at most
 */
export function compareOwned(desired: JsonObject, live: KubeObject, limit: number): readonly (readonly string[])[] {
  const found: (readonly string[])[] = [];
  const actual = live as unknown as JsonObject;
  const data = desired["kind"] === "ConfigMap" || desired["kind"] === "Secret";
  const walk: Walk = { found, limit, quantities: !data };
  const owned = ownedFields(live);
  for (const [name, value] of Object.entries(desired)) {
    if (name === "apiVersion" || name === "kind" || name === "status") continue;
    if (name === "stringData" && desired["kind"] === "Secret") compareStringData(walk, value, actual["data"]);
    else if (name === "metadata") compareMetadata(walk, value, actual["metadata"], fieldOf(owned, name));
    else compare(walk, value, actual[name], fieldOf(owned, name), [name]);
  }
  return found;
}

interface Walk {
  readonly found: (readonly string[])[];
  readonly limit: number;
  readonly quantities: boolean;
}

function compareMetadata(
  walk: Walk,
  desired: JsonValue | undefined,
  live: JsonValue | undefined,
  owned: JsonObject | undefined,
): void {
  if (!isJsonObject(desired)) return;
  for (const name of ["labels", "annotations", "finalizers", "ownerReferences"]) {
    compare(walk, desired[name], isJsonObject(live) ? live[name] : undefined, fieldOf(owned, name), ["metadata", name]);
  }
}

/** The server folds stringData into data and never shows it again. */
function compareStringData(walk: Walk, desired: JsonValue | undefined, data: JsonValue | undefined): void {
  if (!isJsonObject(desired)) return;
  for (const [key, value] of Object.entries(desired)) {
    const held = isJsonObject(data) ? data[key] : undefined;
    if (typeof value === "string" && held !== Buffer.from(value).toString("base64")) report(walk, ["data", key]);
  }
}

function compare(
  walk: Walk,
  desired: JsonValue | undefined,
  live: JsonValue | undefined,
  owned: JsonObject | undefined,
  path: readonly string[],
): void {
  if (walk.found.length >= walk.limit || desired === undefined || desired === null) return;
  if (isJsonObject(desired)) {
    if (!isJsonObject(live)) {
      if (Object.keys(desired).length > 0 || live !== undefined) report(walk, path);
      return;
    }
    for (const [name, value] of Object.entries(desired))
      compare(walk, value, live[name], fieldOf(owned, name), [...path, name]);
  } else if (Array.isArray(desired)) {
    compareLists(walk, desired as readonly JsonValue[], live, owned, path);
  } else if (desired !== live) {
    if (live !== undefined && walk.quantities && isQuantityPath(path) && sameQuantity(desired, live)) return;
    report(walk, path);
  }
}

function compareLists(
  walk: Walk,
  desired: readonly JsonValue[],
  live: JsonValue | undefined,
  owned: JsonObject | undefined,
  path: readonly string[],
): void {
  if (!Array.isArray(live)) {
    if (desired.length > 0 || live !== undefined) report(walk, path);
    return;
  }
  const actual = live as readonly JsonValue[];
  const keys = mergeKeys(desired, owned);
  if (keys !== undefined) {
    for (const [i, entry] of desired.entries()) {
      const at = actual.findIndex((other) => keys.every((key) => sameKey(memberOf(entry, key), memberOf(other, key))));
      if (at < 0) report(walk, [...path, String(i)]);
      else compare(walk, entry, actual[at], keyedField(owned, keys, actual[at]), [...path, String(at)]);
    }
    return;
  }
  if (isSet(owned)) {
    for (const [i, entry] of desired.entries()) if (!actual.includes(entry)) report(walk, [...path, String(i)]);
    return;
  }
  if (actual.length !== desired.length) report(walk, path);
  else for (const [i, entry] of desired.entries()) compare(walk, entry, actual[i], undefined, [...path, String(i)]);
}

/** Keys by which a list merges: as our managed fields show, else `name` where every entry has one. */
function mergeKeys(desired: readonly JsonValue[], owned: JsonObject | undefined): readonly string[] | undefined {
  for (const field of Object.keys(owned ?? {})) {
    if (field.startsWith("k:")) {
      const key: unknown = JSON.parse(field.slice(2));
      return isJsonObject(key) ? Object.keys(key) : undefined;
    }
  }
  // Without our managed fields (another manager took the list over) names are the best guess.
  if (owned !== undefined || desired.length === 0) return undefined;
  return desired.every((entry) => typeof memberOf(entry, "name") === "string") ? ["name"] : undefined;
}

/** A key the author left to its default, such as the protocol of a port, matches any value. */
function sameKey(desired: JsonValue | undefined, live: JsonValue | undefined): boolean {
  return desired === undefined || desired === live;
}

function isSet(owned: JsonObject | undefined): boolean {
  return Object.keys(owned ?? {}).some((field) => field.startsWith("v:"));
}

function keyedField(
  owned: JsonObject | undefined,
  keys: readonly string[],
  entry: JsonValue | undefined,
): JsonObject | undefined {
  for (const [field, below] of Object.entries(owned ?? {})) {
    if (!field.startsWith("k:")) continue;
    const key: unknown = JSON.parse(field.slice(2));
    if (isJsonObject(key) && keys.every((name) => key[name] === memberOf(entry, name)))
      return isJsonObject(below) ? below : undefined;
  }
  return undefined;
}

function memberOf(value: JsonValue | undefined, name: string): JsonValue | undefined {
  return isJsonObject(value) ? value[name] : undefined;
}

function fieldOf(owned: JsonObject | undefined, name: string): JsonObject | undefined {
  const below = owned?.[`f:${name}`];
  return isJsonObject(below) ? below : undefined;
}

function ownedFields(live: KubeObject): JsonObject | undefined {
  const entry = (live.metadata.managedFields ?? []).find(
    ({ manager, operation, subresource }) => manager === PACK_FIELD_MANAGER && operation === "Apply" && !subresource,
  );
  return entry?.fieldsV1;
}

function report(walk: Walk, path: readonly string[]): void {
  if (walk.found.length < walk.limit) walk.found.push(path);
}

import { isMap, jsonEqual, type Json, type JsonMap, member, setMember } from "../json/mutable-json.ts";
import type { SchemaNode } from "../schema/schema-node.ts";
import { badRequest } from "../status-errors.ts";

/**
 * Strategic merge patch of a built-in kind: lists with merge keys are merged item by item, `$patch`, `$retainKeys`,
 * `$deleteFromPrimitiveList` and `$setElementOrder` are obeyed. Takes ownership of both inputs.
 *
 * @throws ApiStatusError 400 for a list item without its merge key or an unknown directive
 */
export function strategicMerge(target: JsonMap, patch: JsonMap, schema: SchemaNode | undefined): JsonMap {
  const directive = member(patch, "$patch");
  if (directive === "replace") return withoutDirectives(patch);
  if (directive === "delete") return {};
  if (directive !== undefined && directive !== "merge") {
    throw badRequest(`unknown $patch directive ${JSON.stringify(directive)}`);
  }
  retainKeys(target, patch);
  for (const [name, value] of Object.entries(patch)) {
    if (name.startsWith("$")) {
      applyDirective(target, name, value);
      continue;
    }
    const child = schema?.property(name) ?? schema?.additional;
    if (value === null) delete target[name];
    else if (isMap(value)) {
      const present = member(target, name);
      const merged = strategicMerge(isMap(present) ? present : {}, value, child);
      if (value["$patch"] === "delete") delete target[name];
      else setMember(target, name, merged);
    } else if (Array.isArray(value)) {
      const present = member(target, name);
      setMember(target, name, mergeList(Array.isArray(present) ? present : [], value, child));
    } else setMember(target, name, value);
  }
  for (const [name, value] of Object.entries(patch)) {
    if (name.startsWith("$setElementOrder/") && Array.isArray(value)) reorder(target, name.slice(17), value, schema);
  }
  return target;
}

function withoutDirectives(value: JsonMap): JsonMap {
  const kept: JsonMap = {};
  for (const [name, child] of Object.entries(value)) if (!name.startsWith("$")) setMember(kept, name, child);
  return kept;
}

function retainKeys(target: JsonMap, patch: JsonMap): void {
  const retained = member(patch, "$retainKeys");
  if (!Array.isArray(retained)) return;
  for (const name of Object.keys(target)) if (!retained.includes(name)) delete target[name];
}

function applyDirective(target: JsonMap, name: string, value: Json): void {
  if (name === "$patch" || name === "$retainKeys" || name.startsWith("$setElementOrder/")) return;
  if (!name.startsWith("$deleteFromPrimitiveList/"))
    throw badRequest(`unknown patch directive ${JSON.stringify(name)}`);
  const field = name.slice("$deleteFromPrimitiveList/".length);
  const list = member(target, field);
  if (Array.isArray(list) && Array.isArray(value)) {
    target[field] = list.filter((item) => !value.some((gone) => jsonEqual(gone, item)));
  }
}

function mergeKeyOf(schema: SchemaNode | undefined): string | undefined {
  return schema?.listType === "map" ? schema.listMapKeys[0] : undefined;
}

function mergeList(target: Json[], patch: Json[], schema: SchemaNode | undefined): Json[] {
  const key = mergeKeyOf(schema);
  if (key === undefined) {
    if (schema?.listType !== "set") return patch;
    // What is new comes first, as the API server orders it without `$setElementOrder`.
    return [...patch.filter((item) => !target.some((other) => jsonEqual(other, item))), ...target];
  }
  if (patch.some((item) => isMap(item) && item["$patch"] === "replace" && Object.keys(item).length === 1)) {
    return patch.filter((item) => !(isMap(item) && item["$patch"] === "replace"));
  }
  let merged = target;
  const added: Json[] = [];
  for (const item of patch) {
    if (!isMap(item)) throw badRequest("an item of a list with a merge key is an object");
    const value = member(item, key);
    if (value === undefined)
      throw badRequest(`map: ${JSON.stringify(item)} does not contain declared merge key: ${key}`);
    const same = (other: Json): boolean => isMap(other) && jsonEqual(member(other, key), value);
    if (item["$patch"] === "delete") {
      merged = merged.filter((other) => !same(other));
      continue;
    }
    const index = merged.findIndex(same);
    const present = merged[index];
    if (isMap(present)) merged[index] = strategicMerge(present, item, schema?.items);
    else added.push(strategicMerge({}, item, schema?.items));
  }
  return [...added, ...merged];
}

function reorder(target: JsonMap, field: string, order: readonly Json[], schema: SchemaNode | undefined): void {
  const list = member(target, field);
  if (!Array.isArray(list)) return;
  const key = mergeKeyOf(schema?.property(field));
  const position = (item: Json): number =>
    order.findIndex((wanted) =>
      key !== undefined && isMap(wanted) && isMap(item)
        ? jsonEqual(member(wanted, key), member(item, key))
        : jsonEqual(wanted, item),
    );
  // Items the patch does not order keep their place behind the ordered ones.
  const placed = list.map((item, index) => ({ item, at: position(item), index }));
  placed.sort((a, b) => (a.at < 0 ? order.length : a.at) - (b.at < 0 ? order.length : b.at) || a.index - b.index);
  target[field] = placed.map(({ item }) => item);
}

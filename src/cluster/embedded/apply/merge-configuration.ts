import { isMap, type Json, type JsonMap, member, setMember } from "../json/mutable-json.ts";
import type { SchemaNode } from "../schema/schema-node.ts";
import { indexItems, memberSchema, shapeOf } from "./merge-shape.ts";

/** Lays an applied configuration over the live value (structured-merge-diff `Merge`). Shares parts with both inputs. */
export function mergeConfiguration(live: Json, config: Json, schema: SchemaNode | undefined): Json {
  const shape = shapeOf(config, schema);
  if (shape === "leaf" || shape !== shapeOf(live, schema)) return config;
  if (isMap(live) && isMap(config)) return mergeMaps(live, config, schema);
  if (Array.isArray(live) && Array.isArray(config) && shape !== "map") return mergeLists(live, config, schema, shape);
  return config;
}

function mergeMaps(live: JsonMap, config: JsonMap, schema: SchemaNode | undefined): JsonMap {
  const merged: JsonMap = { ...live };
  for (const [name, value] of Object.entries(config)) {
    const present = member(live, name);
    setMember(
      merged,
      name,
      present === undefined ? value : mergeConfiguration(present, value, memberSchema(schema, name)),
    );
  }
  return merged;
}

/** Items of the configuration keep its order; items only live has stay where they were among them. */
function mergeLists(
  live: readonly Json[],
  config: readonly Json[],
  schema: SchemaNode | undefined,
  shape: "listMap" | "listSet",
): Json[] {
  const left = indexItems(live, schema, shape);
  const right = indexItems(config, schema, shape);
  const merged: Json[] = [];
  const done = new Set<string>();
  const liveOrder = [...left.keys()];
  let next = 0;
  const emitLiveOnly = (): void => {
    while (next < liveOrder.length) {
      const element = liveOrder[next] ?? "";
      if (right.has(element) && !done.has(element)) return;
      const item = left.get(element);
      if (!done.has(element) && item !== undefined) merged.push(item);
      next++;
    }
  };
  for (const [element, item] of right) {
    emitLiveOnly();
    const present = left.get(element);
    merged.push(present === undefined || shape === "listSet" ? item : mergeConfiguration(present, item, schema?.items));
    done.add(element);
    if (liveOrder[next] === element) next++;
  }
  emitLiveOnly();
  return merged;
}

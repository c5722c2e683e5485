import { isMap, type Json, type JsonMap, member, setMember } from "../json/mutable-json.ts";
import type { SchemaNode } from "../schema/schema-node.ts";
import { indexItems, memberSchema, shapeOf } from "./merge-shape.ts";

/** Lays an applied configuration over the live value (structured-merge-diff `Merge`). Shares parts with both inputs. */
export function mergeConfiguration(live: Json, config: Json, schema: SchemaNode | undefined): Json {
  // Beside a map or associative list, null is an empty one: it takes nothing away.
  if (config === null && shapeOf(live, schema) !== "leaf") return live;
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

/**
 * Two walkers, one over the live list and one over the configuration: items of the configuration come out in its order, items only live has
 * where they stood among the shared ones. A shared item that is not the next in turn is left for its turn.
 */
function mergeLists(
  live: readonly Json[],
  config: readonly Json[],
  schema: SchemaNode | undefined,
  shape: "listMap" | "listSet",
): Json[] {
  const left = indexItems(live, schema, shape);
  const right = indexItems(config, schema, shape);
  const liveOrder = [...left.keys()];
  const configOrder = [...right.keys()];
  const shared = configOrder.filter((element) => left.has(element));
  const merged: Json[] = [];
  const done = new Set<string>();
  const take = (element: string): void => {
    const item = right.get(element) ?? null;
    const present = left.get(element);
    const alone = present === undefined || shape === "listSet";
    merged.push(alone ? item : mergeConfiguration(present, item, schema?.items));
    done.add(element);
    if (shared[0] === element) shared.shift();
  };
  for (let l = 0, r = 0; l < liveOrder.length || r < configOrder.length;) {
    const mine = liveOrder[l];
    const theirs = configOrder[r];
    if (mine !== undefined && theirs !== undefined) {
      if (mine === theirs) {
        take(mine);
        l++;
        r++;
        continue;
      }
      if (right.has(mine) && shared.length > 0 && shared[0] !== mine) {
        l++;
        continue;
      }
    }
    if (mine !== undefined && !right.has(mine)) {
      merged.push(left.get(mine) ?? null);
      l++;
      continue;
    }
    if (mine !== undefined && done.has(mine)) l++;
    if (theirs !== undefined) {
      take(theirs);
      r++;
    }
  }
  return merged;
}

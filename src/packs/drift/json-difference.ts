import { type JsonValue, isJsonObject } from "../../base/json.ts";

/** Paths at which two JSON values differ, at most `limit`; the deepest place both sides share names the difference. */
export function jsonDifference(
  a: JsonValue | undefined,
  b: JsonValue | undefined,
  limit: number,
): readonly (readonly string[])[] {
  const found: (readonly string[])[] = [];
  walk(a, b, []);
  return found;

  function walk(left: JsonValue | undefined, right: JsonValue | undefined, path: readonly string[]): void {
    if (found.length >= limit || left === right) return;
    if (isJsonObject(left) && isJsonObject(right)) {
      for (const name of new Set([...Object.keys(left), ...Object.keys(right)]))
        walk(left[name], right[name], [...path, name]);
    } else if (Array.isArray(left) && Array.isArray(right)) {
      const [one, other] = [left as readonly JsonValue[], right as readonly JsonValue[]];
      for (let i = 0; i < Math.max(one.length, other.length); i++) walk(one[i], other[i], [...path, String(i)]);
    } else found.push(path);
  }
}

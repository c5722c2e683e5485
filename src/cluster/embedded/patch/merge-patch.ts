import { isMap, type Json, type JsonMap, member, setMember } from "../json/mutable-json.ts";

/** RFC 7396 on objects; takes ownership of both. */
export function mergePatch(target: JsonMap, patch: JsonMap): JsonMap {
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete target[key];
    else if (isMap(value)) {
      const present = member(target, key);
      setMember(target, key, mergePatch(isMap(present) ? present : {}, value));
    } else setMember(target, key, value satisfies Json);
  }
  return target;
}

import { isJsonObject, type JsonObject, type JsonValue } from "../../base/json.ts";

/** Field sets of managers that are remembered; one kind has a few. */
const REMEMBERED = 8;

/**
 * Lets objects that came one after the other share what is equal in them and never changes by itself: the texts of their kind and namespace,
 * and the field sets in `managedFields`, which are half of a small object and the same in all objects of one writer. Objects of a cluster are
 * read-only, so nobody sees the difference but the memory of a cache.
 */
export class SharedParts {
  readonly #fieldSets: JsonObject[] = [];
  #last: JsonObject = {};

  /** Puts shared parts into an object that nobody else holds yet. */
  share(object: JsonObject): void {
    const last = this.#last;
    const metadata = object["metadata"];
    const lastMetadata = last["metadata"];
    for (const name of ["apiVersion", "kind"]) if (object[name] === last[name]) setMember(object, name, last[name]);
    if (!isJsonObject(metadata)) return;
    if (
      isJsonObject(lastMetadata) &&
      metadata["namespace"] !== undefined &&
      metadata["namespace"] === lastMetadata["namespace"]
    )
      setMember(metadata, "namespace", lastMetadata["namespace"]);
    const entries = metadata["managedFields"];
    if (Array.isArray(entries))
      for (const entry of entries as readonly JsonValue[]) {
        const fields = isJsonObject(entry) ? entry["fieldsV1"] : undefined;
        if (isJsonObject(entry) && isJsonObject(fields)) setMember(entry, "fieldsV1", this.#shared(fields));
      }
    this.#last = object;
  }

  #shared(fields: JsonObject): JsonObject {
    const known = this.#fieldSets.find((each) => sameFields(each, fields));
    if (known !== undefined) return known;
    if (this.#fieldSets.length === REMEMBERED) this.#fieldSets.shift();
    this.#fieldSets.push(fields);
    return fields;
  }
}

/** Equality of field sets: objects of objects. Anything else in them counts as different. */
function sameFields(one: JsonObject, other: JsonObject): boolean {
  if (one === other) return true;
  let left = 0;
  for (const name in one) {
    const a = one[name];
    const b = other[name];
    if (!isJsonObject(a) || !isJsonObject(b) || !sameFields(a, b)) return false;
    left++;
  }
  for (const _ in other) left--;
  return left === 0;
}

/** Objects are read-only once they are handed out; these are not yet. */
function setMember(object: JsonObject, name: string, value: JsonValue | undefined): void {
  if (value !== undefined) (object as { [name: string]: JsonValue })[name] = value;
}

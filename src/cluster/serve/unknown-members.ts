import { isJsonObject, type JsonObject, type JsonValue } from "../../base/json.ts";
import type { BuiltInSchemas } from "./built-in-schemas.ts";

/** Members of a body that its kind does not have are dropped, as typed decoding does; `unknown` names their paths. */
export interface KnownMembers {
  readonly value: JsonObject;
  readonly unknown: readonly string[];
}

/** Every object may say what it is. */
const ENVELOPE = new Set(["apiVersion", "kind"]);
/** Unknown members that are named; the rest is dropped all the same. */
const MAX_NAMED = 50;

/** Finds members that built-in kinds do not have. Kinds that are not known member by member keep everything. */
export class UnknownMembers {
  readonly #builtIn: BuiltInSchemas;
  readonly #schemas = new Map<string, Readonly<Record<string, JsonValue>>>();

  constructor(builtIn: BuiltInSchemas) {
    this.#builtIn = builtIn;
  }

  /** @param patch a patch body, whose `$` directives and nulls are none of the kind's members but belong there */
  check(value: JsonObject, apiVersion: string, kind: string, patch: boolean): KnownMembers {
    const id = this.#builtIn.idOf(apiVersion, kind);
    if (id === undefined) return { value, unknown: [] };
    const unknown: string[] = [];
    return { value: this.#message(value, id, "", patch, unknown), unknown };
  }

  #properties(id: string): Readonly<Record<string, JsonValue>> {
    let properties = this.#schemas.get(id);
    if (!properties) {
      const found = this.#builtIn.schema(id, (other) => ({ $ref: other }))["properties"];
      properties = isJsonObject(found) ? (found as Readonly<Record<string, JsonValue>>) : {};
      this.#schemas.set(id, properties);
    }
    return properties;
  }

  #message(value: JsonObject, id: string, path: string, patch: boolean, unknown: string[]): JsonObject {
    const properties = this.#properties(id);
    const known: Record<string, JsonValue> = {};
    for (const [name, member] of Object.entries(value)) {
      if (member === undefined) continue;
      const below = path === "" ? name : `${path}.${name}`;
      const schema = Object.hasOwn(properties, name) ? properties[name] : undefined;
      const directive = patch && name.startsWith("$");
      if (schema !== undefined) known[name] = this.#member(member, schema, below, patch, unknown);
      else if (directive || (ENVELOPE.has(name) && (path === "" || properties["metadata"] !== undefined))) {
        Object.defineProperty(known, name, { value: member, enumerable: true, writable: true, configurable: true });
      } else if (unknown.length < MAX_NAMED) unknown.push(below);
    }
    return known;
  }

  #member(value: JsonValue, schema: JsonValue, path: string, patch: boolean, unknown: string[]): JsonValue {
    if (!isJsonObject(schema)) return value;
    const { $ref, items, additionalProperties } = schema;
    if (typeof $ref === "string") return isJsonObject(value) ? this.#message(value, $ref, path, patch, unknown) : value;
    if (items !== undefined && Array.isArray(value)) {
      return (value as readonly JsonValue[]).map((item, i) =>
        this.#member(item, items, `${path}[${i}]`, patch, unknown),
      );
    }
    if (additionalProperties === undefined || !isJsonObject(value)) return value;
    const map: Record<string, JsonValue> = {};
    for (const [key, member] of Object.entries(value)) {
      if (member === undefined) continue;
      const shown = this.#member(member, additionalProperties, `${path}.${key}`, patch, unknown);
      Object.defineProperty(map, key, { value: shown, enumerable: true, writable: true, configurable: true });
    }
    return map;
  }
}

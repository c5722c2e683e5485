import { isMap, type Json, type JsonMap } from "../../json/mutable-json.ts";
import type { SchemaNode } from "../schema-node.ts";

/** CEL words a property may not be named by; rules write them as `__word__`. */
const RESERVED = new Set(
  "true false null in as break const continue else for function if import let loop package namespace return var void while".split(
    " ",
  ),
);

/** Name of a property in rules, or undefined when rules cannot reach it (CEL in Kubernetes, "Escaping"). */
export function celName(name: string): string | undefined {
  if (RESERVED.has(name)) return `__${name}__`;
  const escaped = name.replaceAll(/__|[./-]/g, (found) => {
    switch (found) {
      case "__":
        return "__underscores__";
      case ".":
        return "__dot__";
      case "-":
        return "__dash__";
      default:
        return "__slash__";
    }
  });
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(escaped) ? escaped : undefined;
}

/** Turns JSON into CEL values by schema; each object is converted once per evaluation. */
export class CelValues {
  readonly #converted = new WeakMap<object, unknown>();

  of(value: Json, schema: SchemaNode, root = false): unknown {
    if (typeof value === "object" && value !== null) {
      const known = this.#converted.get(value);
      if (known !== undefined) return known;
      const converted = Array.isArray(value) ? this.#list(value, schema) : this.#map(value, schema, root);
      this.#converted.set(value, converted);
      return converted;
    }
    if (typeof value === "number") {
      const integral = schema.type === "integer" || (schema.type !== "number" && Number.isInteger(value));
      return integral && Number.isSafeInteger(value) ? BigInt(value) : value;
    }
    if (typeof value === "string" && (schema.format === "date-time" || schema.format === "date")) {
      const time = Date.parse(value);
      return Number.isNaN(time) ? value : new Date(time);
    }
    return value;
  }

  #list(list: readonly Json[], schema: SchemaNode): readonly unknown[] {
    const { items } = schema;
    return items ? list.map((item) => this.of(item, items)) : list;
  }

  #map(map: JsonMap, schema: SchemaNode, root: boolean): ReadonlyMap<string, unknown> {
    const converted = new Map<string, unknown>();
    const { additional } = schema;
    for (const [name, value] of Object.entries(map)) {
      if ((root || schema.embeddedResource) && name === "metadata") {
        converted.set(name, namesOf(value));
        continue;
      }
      const property = schema.property(name);
      if (property) {
        const escaped = celName(name);
        if (escaped !== undefined) converted.set(escaped, this.of(value, property));
      } else if (additional) {
        converted.set(name, this.of(value, additional));
      } else if ((root || schema.embeddedResource) && typeof value === "string") {
        converted.set(name, value);
      }
    }
    return converted;
  }
}

/** Of metadata, rules see only the names. */
function namesOf(metadata: Json): ReadonlyMap<string, unknown> {
  const names = new Map<string, unknown>();
  if (!isMap(metadata)) return names;
  for (const field of ["name", "generateName"]) if (metadata[field] !== undefined) names.set(field, metadata[field]);
  return names;
}

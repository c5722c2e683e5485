import type { JsonObject } from "../../base/json.ts";
import { MESSAGES, ROOTS } from "../built-in-messages.ts";
import { messagePairs } from "../message-pairs.ts";

/** JSON forms of messages that are more than their members, and of scalars. */
const SCALARS: Readonly<Record<string, JsonObject>> = {
  s: { type: "string" },
  b: { type: "string", format: "byte" },
  i: { type: "integer", format: "int64" },
  t: { type: "boolean" },
  d: { type: "number", format: "double" },
  Time: { type: "string", format: "date-time" },
  MicroTime: { type: "string", format: "date-time" },
  Quantity: { type: "string", description: "A quantity such as 100m, 0.5, 2Gi." },
  Duration: { type: "string" },
  IntOrString: { "x-kubernetes-int-or-string": true, format: "int-or-string", type: "string" },
  Raw: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
  Items: { type: "array", items: { type: "string" } },
};

/** The parts of the schemas of built-in kinds, by message id. */
export interface BuiltInSchemas {
  /** Id of a kind's message; undefined for a kind that is not known member by member. */
  idOf(apiVersion: string, kind: string): string | undefined;
  /** Ids of the messages that `id` refers to, directly or not, with itself. */
  closure(id: string): readonly string[];
  /** OpenAPI schema of one message; `reference` makes the `$ref` of another. */
  schema(id: string, reference: (id: string) => JsonObject): JsonObject;
}

/** Schemas of built-in kinds from the same table that decodes their protobuf form: member names and types, without prose. */
export function builtInSchemas(): BuiltInSchemas {
  const roots = messagePairs(ROOTS);
  const messages = messagePairs(MESSAGES);
  const fieldsOf = (id: string): readonly string[] => (messages.get(id) ?? "").split(" ");
  return {
    idOf: (apiVersion, kind) => roots.get(`${apiVersion}/${kind}`),
    closure: (id) => {
      const found = new Set([id]);
      for (const next of found) {
        for (const field of fieldsOf(next)) {
          const type = typeOf(field);
          if (messages.has(type)) found.add(type);
        }
      }
      return [...found];
    },
    schema: (id, reference) => {
      const properties: Record<string, JsonObject> = {};
      const add = (message: string): void => {
        for (const field of fieldsOf(message)) {
          const match = /^\d+([=!]?)([^:]*):(\*|\[\]|\{\})?\.?(\w+)$/.exec(field);
          if (match === null) continue;
          const [, flag, name = "", shape, type = ""] = match;
          if (flag === "=") {
            add(type);
            continue;
          }
          const one = SCALARS[type] ?? reference(type);
          properties[name] =
            shape === "[]"
              ? { type: "array", items: one }
              : shape === "{}"
                ? { type: "object", additionalProperties: one }
                : one;
        }
      };
      add(id);
      return { type: "object", properties };
    },
  };
}

function typeOf(field: string): string {
  return /\.?(\w+)$/.exec(field)?.[1] ?? "";
}

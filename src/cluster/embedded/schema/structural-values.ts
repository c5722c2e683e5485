import { type Json, type JsonMap, member } from "../json/mutable-json.ts";
import { type FieldError, invalidValue } from "../status-errors.ts";
import { compilePattern } from "./re2-pattern.ts";
import { SchemaNode } from "./schema-node.ts";
import { validateValue } from "./validate.ts";

/** Checks what one schema node says about values: its default is one, its pattern can be matched. */
export function checkValues(schema: JsonMap, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const pattern = member(schema, "pattern");
  if (typeof pattern === "string" && !isPattern(pattern)) {
    errors.push(invalidValue(`${path}.pattern`, pattern, "must be a valid regular expression, but isn't"));
  }
  const value = member(schema, "default");
  if (value !== undefined) errors.push(...defaultErrors(value, schema, `${path}.default`));
  return errors;
}

/** A pattern that JavaScript cannot express may be one all the same: only what neither mode takes is none. */
function isPattern(pattern: string): boolean {
  return compilePattern(pattern) !== undefined || /\(\?|\\[pPQE1-9]/.test(pattern);
}

function defaultErrors(value: Json, schema: JsonMap, path: string): FieldError[] {
  const node = new SchemaNode(schema);
  if (value === null && node.nullable) return [];
  return validateValue(value, node, path);
}

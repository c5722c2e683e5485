import { itemElement } from "../../apply/merge-shape.ts";
import { isMap, type Json, type JsonMap, member } from "../../json/mutable-json.ts";
import { type FieldError, invalidValue, shownValue } from "../../status-errors.ts";
import { fieldPath, itemPath, keyPath } from "../path.ts";
import type { CelRuleSource, SchemaNode } from "../schema-node.ts";
import type { CelEngine } from "./cel-engine.ts";
import type { OldSelf } from "./expression-check.ts";
import { evaluationError } from "./evaluation-error.ts";
import { CelValues } from "./cel-values.ts";

/** Rule evaluations for one object; the API server limits their cost in a like way. */
const MAX_EVALUATIONS = 100_000;
const MAX_ERRORS = 20;
/** Longest message a rule may produce; longer ones are replaced by the default. */
const MAX_MESSAGE_LENGTH = 5_120;

/** Evaluates the `x-kubernetes-validations` of a schema on an object, transition rules against the stored one. */
export function validateRules(
  engine: CelEngine,
  object: JsonMap,
  old: JsonMap | undefined,
  schema: SchemaNode,
): FieldError[] {
  if (!schema.hasRules) return [];
  const walk = new RuleWalk(engine);
  walk.visit(object, old, schema, "", true);
  return walk.errors;
}

class RuleWalk {
  readonly errors: FieldError[] = [];
  readonly #engine: CelEngine;
  readonly #values = new CelValues();
  #evaluations = 0;

  constructor(engine: CelEngine) {
    this.#engine = engine;
  }

  visit(value: Json, old: Json | undefined, schema: SchemaNode, path: string, root = false): void {
    if (!schema.hasRules || this.errors.length >= MAX_ERRORS) return;
    for (const rule of schema.rules) this.#evaluate(rule, value, old, schema, path, root);
    if (value === null) return;
    if (Array.isArray(value)) this.#visitList(value, old, schema, path);
    else if (isMap(value)) this.#visitMap(value, old, schema, path);
  }

  #visitMap(map: JsonMap, old: Json | undefined, schema: SchemaNode, path: string): void {
    const before = isMap(old) ? old : undefined;
    const { additional } = schema;
    for (const [name, value] of Object.entries(map)) {
      const property = schema.property(name);
      const child = property ?? additional;
      if (!child?.hasRules) continue;
      const childPath = property ? fieldPath(path, name) : keyPath(path, name);
      this.visit(value, before ? member(before, name) : undefined, child, childPath);
    }
  }

  #visitList(list: readonly Json[], old: Json | undefined, schema: SchemaNode, path: string): void {
    const { items } = schema;
    if (!items?.hasRules) return;
    // Only items of map lists can be told apart from one version to the next.
    const before = new Map<string, Json>();
    if (schema.listType === "map" && Array.isArray(old)) {
      for (const item of old) before.set(itemElement(item, schema, "listMap"), item);
    }
    list.forEach((item, i) => {
      const match = before.size > 0 ? before.get(itemElement(item, schema, "listMap")) : undefined;
      this.visit(item, match, items, itemPath(path, i));
    });
  }

  #evaluate(
    rule: CelRuleSource,
    value: Json,
    old: Json | undefined,
    schema: SchemaNode,
    path: string,
    root: boolean,
  ): void {
    if (++this.#evaluations > MAX_EVALUATIONS) {
      if (this.#evaluations === MAX_EVALUATIONS + 1) {
        this.errors.push(ruleError(rule, value, path, "validation failed due to running out of cost budget"));
      }
      return;
    }
    let failure: string | undefined;
    try {
      const mode: OldSelf = rule.optionalOldSelf === true ? "optional" : "value";
      const program = this.#engine.compile(rule.rule, mode);
      if (program.usesOldSelf && old === undefined && mode === "value") return;
      const self = this.#values.of(value, schema, root);
      const oldSelf = old === undefined ? undefined : this.#values.of(old, schema, root);
      if (program.run(self, oldSelf) === true) return;
      failure = this.#message(rule, self, oldSelf, mode);
    } catch (error) {
      const detail = `${evaluationError(error)} evaluating rule: ${(rule.message ?? rule.rule).trim()}`;
      this.errors.push(invalidValue(fieldOf(rule, path), schema.type ?? "", detail));
      return;
    }
    this.errors.push(ruleError(rule, value, path, failure));
  }

  #message(rule: CelRuleSource, self: unknown, oldSelf: unknown, mode: OldSelf): string {
    const fallback = rule.message ?? `failed rule: ${rule.rule.trim()}`;
    if (rule.messageExpression === undefined) return fallback;
    try {
      const text = this.#engine.compile(rule.messageExpression, mode).run(self, oldSelf);
      const usable =
        typeof text === "string" && text.trim() !== "" && !text.includes("\n") && text.length <= MAX_MESSAGE_LENGTH;
      return usable ? text.trim() : fallback;
    } catch {
      return fallback; // a message that cannot be computed must not hide the rule that failed
    }
  }
}

function fieldOf(rule: CelRuleSource, path: string): string {
  const below = rule.fieldPath === undefined ? path : `${path}${rule.fieldPath}`.replace(/^\./, "");
  return below === "" ? "<nil>" : below;
}

function ruleError(rule: CelRuleSource, value: Json, path: string, detail: string): FieldError {
  const field = fieldOf(rule, path);
  // Scalars are shown; objects and lists are left out (`field.OmitValueType`).
  const shown = typeof value === "object" && value !== null ? undefined : shownValue(value);
  switch (rule.reason) {
    case "FieldValueForbidden":
      return { reason: "FieldValueForbidden", field, message: `Forbidden: ${detail}` };
    case "FieldValueRequired":
      return { reason: "FieldValueRequired", field, message: `Required value: ${detail}` };
    case "FieldValueDuplicate":
      return {
        reason: "FieldValueDuplicate",
        field,
        message: shown === undefined ? "Duplicate value" : `Duplicate value: ${shown}`,
      };
    default:
      return {
        reason: "FieldValueInvalid",
        field,
        message: shown === undefined ? `Invalid value: ${detail}` : `Invalid value: ${shown}: ${detail}`,
      };
  }
}

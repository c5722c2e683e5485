import { errorMessage } from "../../../base/errors.ts";
import { isMap, type JsonMap, member, memberMap, memberText } from "../json/mutable-json.ts";
import { type FieldError, forbiddenField, invalidValue, notSupported, required } from "../status-errors.ts";
import type { CheckExpression, ExpressionCheck, OldSelf } from "./cel/expression-check.ts";

const REASONS = ["FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"];

/** Where in a schema a rule stands. */
export interface RulePlace {
  /** At the root, where an object has metadata. */
  readonly root: boolean;
  /** How often it is evaluated at most for one object: the product of the lists and maps around it. */
  readonly times: number;
}

/** Checks the `x-kubernetes-validations` of one schema node (apiextensions/v1 `ValidationRule`). */
export function checkRules(schema: JsonMap, path: string, place: RulePlace, check: CheckExpression): FieldError[] {
  const rules = member(schema, "x-kubernetes-validations");
  if (!Array.isArray(rules)) return [];
  return rules.flatMap((rule, i) =>
    isMap(rule) ? checkRule(rule, schema, `${path}.x-kubernetes-validations[${i}]`, place, check) : [],
  );
}

function checkRule(
  rule: JsonMap,
  schema: JsonMap,
  path: string,
  { root, times }: RulePlace,
  check: CheckExpression,
): FieldError[] {
  const errors: FieldError[] = [];
  const text = memberText(rule, "rule");
  const oldSelf: OldSelf = rule["optionalOldSelf"] === true ? "optional" : "value";
  if (text.trim() === "") return [required(`${path}.rule`, "rule is not specified")];
  const compiled = compile(text, oldSelf, schema, root, check);
  if (compiled instanceof Error)
    errors.push(shownRule(`${path}.rule`, rule, `compilation failed: ${compiled.message}`));
  else if (compiled.type !== "bool" && compiled.type !== "dyn") {
    errors.push(shownRule(`${path}.rule`, rule, "cel expression must evaluate to a bool"));
  } else if (rule["optionalOldSelf"] !== undefined && !compiled.usesOldSelf) {
    errors.push(
      invalidValue(`${path}.optionalOldSelf`, rule["optionalOldSelf"], "may not be set if oldSelf is not used in rule"),
    );
  }
  if (!(compiled instanceof Error)) errors.push(...checkCost(compiled.rounds * times, `${path}.rule`));
  const message = memberText(rule, "message");
  if (message.includes("\n")) errors.push(invalidValue(`${path}.message`, message, "must not contain line breaks"));
  else if (member(rule, "message") !== undefined && message.trim() === "") {
    errors.push(invalidValue(`${path}.message`, message, "message must be non-empty if specified"));
  }
  const expression = memberText(rule, "messageExpression");
  if (expression.trim() !== "") {
    const found = compile(expression, oldSelf, schema, root, check);
    const at = `${path}.messageExpression`;
    if (found instanceof Error) errors.push(shownRule(at, rule, `compilation failed: ${found.message}`));
    else if (found.type !== "string" && found.type !== "dyn") {
      errors.push(shownRule(at, rule, "messageExpression must evaluate to a string"));
    }
  }
  const reason = member(rule, "reason");
  if (reason !== undefined && !REASONS.some((known) => known === reason)) {
    errors.push(notSupported(`${path}.reason`, reason, REASONS));
  }
  const fieldPath = memberText(rule, "fieldPath");
  if (fieldPath !== "" && !leadsSomewhere(schema, fieldPath)) {
    errors.push(invalidValue(`${path}.fieldPath`, fieldPath, "must be a valid path"));
  }
  return errors;
}

/** Cost of one round at least, and of one rule at most, in the units of kube-apiserver (`StaticEstimatedCostLimit`). */
const ROUND_COST = 3;
const RULE_COST_LIMIT = 10_000_000;

function checkCost(rounds: number, path: string): FieldError[] {
  const factor = (rounds * ROUND_COST) / RULE_COST_LIMIT;
  if (factor <= 1) return [];
  const much = factor > 100 ? "more than 100x" : `${factor.toFixed(1)}x`;
  const remedy =
    "try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared";
  return [forbiddenField(path, `estimated rule cost exceeds budget by factor of ${much} (${remedy})`)];
}

function compile(
  source: string,
  oldSelf: OldSelf,
  schema: JsonMap,
  root: boolean,
  check: CheckExpression,
): ExpressionCheck | Error {
  try {
    return check(source, oldSelf, schema, root);
  } catch (error) {
    return error instanceof Error ? error : new Error(errorMessage(error));
  }
}

/** kube-apiserver shows the whole rule, as its own struct reads. */
function shownRule(field: string, rule: JsonMap, detail: string): FieldError {
  const shown = {
    Rule: memberText(rule, "rule"),
    Message: memberText(rule, "message"),
    MessageExpression: memberText(rule, "messageExpression"),
    Reason: rule["reason"] ?? null,
    FieldPath: memberText(rule, "fieldPath"),
    OptionalOldSelf: rule["optionalOldSelf"] ?? null,
  };
  const text = JSON.stringify(shown).replaceAll(
    /[<>&]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  return { reason: "FieldValueInvalid", field, message: `Invalid value: ${text}: ${detail}` };
}

/** Whether a path such as `.spec.names['a-b']` names a property of the schema. */
export function leadsSomewhere(schema: JsonMap, path: string): boolean {
  return schemaAt(schema, path) !== undefined;
}

/** Schema at the end of a simple path; undefined when it leads nowhere. */
export function schemaAt(schema: JsonMap, path: string): JsonMap | undefined {
  if (!/^(?:\.[A-Za-z_][\w-]*|\['[^']+'\])+$/.test(path)) return undefined;
  let node: JsonMap | undefined = schema;
  for (const part of path.matchAll(/\.(?<name>[A-Za-z_][\w-]*)|\['(?<key>[^']+)'\]/g)) {
    const name = part.groups?.["name"] ?? part.groups?.["key"] ?? "";
    const properties: JsonMap | undefined = node && memberMap(node, "properties");
    node = (properties && memberMap(properties, name)) ?? (node && memberMap(node, "additionalProperties"));
  }
  return node;
}

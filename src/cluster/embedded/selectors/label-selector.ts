import { labelValueProblem, qualifiedNameProblem } from "../metadata/names.ts";
import { badRequest } from "../status-errors.ts";

type Labels = Readonly<Record<string, string>>;

/** One comma-separated term of a label selector. */
export type LabelRequirement =
  | { readonly op: "in" | "notin"; readonly key: string; readonly values: ReadonlySet<string> }
  | { readonly op: "exists" | "absent"; readonly key: string }
  | { readonly op: "gt" | "lt"; readonly key: string; readonly than: number };

const TERM = /^(?<key>[^\s=!<>(),]+)\s*(?:(?<op>==|=|!=|>|<)\s*(?<value>[^\s=!<>(),]*))?$/;
const SET_TERM = /^(?<key>[^\s=!<>(),]+)\s+(?<op>in|notin)\s*\((?<values>[^()]*)\)$/;
/** Longest selector text; a URL would not carry more either. */
const MAX_SELECTOR_BYTES = 16 * 1024;

function unparsable(why: string): Error {
  return badRequest(`unable to parse requirement: ${why}`);
}

/** Splits at commas that are not inside the parentheses of a set term. */
function terms(text: string): string[] {
  const found: string[] = [];
  let depth = 0;
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (c === "(") depth++;
    else if (c === ")") depth--;
    else if (c === "," && depth === 0) {
      found.push(text.slice(start, i));
      start = i + 1;
    }
  }
  found.push(text.slice(start));
  return found.map((term) => term.trim());
}

function checkKey(key: string): string {
  const problem = qualifiedNameProblem(key);
  if (problem !== undefined) throw unparsable(`<nil>: Invalid value: ${JSON.stringify(key)}: ${problem}`);
  return key;
}

function checkValue(key: string, value: string, index = 0): string {
  const problem = labelValueProblem(value);
  if (problem !== undefined) {
    throw unparsable(`values[${index}][${key}]: Invalid value: ${JSON.stringify(value)}: ${problem}`);
  }
  return value;
}

function requirement(term: string): LabelRequirement {
  if (term.startsWith("!")) return { op: "absent", key: checkKey(term.slice(1).trim()) };
  const set = SET_TERM.exec(term)?.groups;
  if (set) {
    const key = checkKey(set["key"] ?? "");
    const values = (set["values"] ?? "").split(",").map((value, i) => checkValue(key, value.trim(), i));
    return { op: set["op"] === "in" ? "in" : "notin", key, values: new Set(values) };
  }
  const plain = TERM.exec(term)?.groups;
  if (!plain)
    throw unparsable(`found '${term}', expected: a requirement such as 'key=value', 'key in (a,b)' or '!key'`);
  const key = checkKey(plain["key"] ?? "");
  const value = plain["value"] ?? "";
  switch (plain["op"]) {
    case undefined:
      return { op: "exists", key };
    case "=":
    case "==":
      return { op: "in", key, values: new Set([checkValue(key, value)]) };
    case "!=":
      return { op: "notin", key, values: new Set([checkValue(key, value)]) };
    default: {
      if (!/^-?\d+$/.test(value)) {
        const why = "for 'Gt', 'Lt' operators, the value must be an integer";
        throw unparsable(`values[0]: Invalid value: ${JSON.stringify(value)}: ${why}`);
      }
      return { op: plain["op"] === ">" ? "gt" : "lt", key, than: Number(value) };
    }
  }
}

/** Parses Kubernetes label selector syntax; an empty text selects everything. @throws ApiStatusError 400 */
export function parseLabelSelector(text: string): readonly LabelRequirement[] {
  if (text.length > MAX_SELECTOR_BYTES) throw badRequest(`label selector is longer than ${MAX_SELECTOR_BYTES} bytes`);
  if (text.trim() === "") return [];
  return terms(text).map(requirement);
}

function meets(rule: LabelRequirement, labels: Labels): boolean {
  const value = Object.hasOwn(labels, rule.key) ? labels[rule.key] : undefined;
  switch (rule.op) {
    case "in":
      return value !== undefined && rule.values.has(value);
    case "notin":
      return value === undefined || !rule.values.has(value);
    case "exists":
      return value !== undefined;
    case "absent":
      return value === undefined;
    case "gt":
      return value !== undefined && Number(value) > rule.than;
    case "lt":
      return value !== undefined && Number(value) < rule.than;
  }
}

/** True when `labels` meet every requirement. */
export function matchesLabels(rules: readonly LabelRequirement[], labels: Labels | undefined): boolean {
  return rules.every((rule) => meets(rule, labels ?? {}));
}

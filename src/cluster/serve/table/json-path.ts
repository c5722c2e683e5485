/** One step of a parsed path. */
type Step =
  | { readonly type: "member"; readonly name: string }
  | { readonly type: "index"; readonly index: number }
  | { readonly type: "all" }
  | { readonly type: "filter"; readonly path: JsonPath; readonly operator: string; readonly literal: unknown }
  | { readonly type: "exists"; readonly path: JsonPath };

/** A parsed path of the subset that printer columns use. */
export type JsonPath = readonly Step[];

const OPERATORS = ["==", "!=", "<=", ">=", "<", ">"] as const;

/**
 * Parses a simple JSON path as CRD printer columns have it: `.spec.replicas`, `.metadata.labels.app\.kubernetes\.io/name`,
 * `.items[0]`, `.items[*].name`, `.a['b.c']`, `.status.conditions[?(@.type=="Ready")].status`.
 *
 * @returns undefined when the path is not understood: the column then stays empty
 */
export function parseJsonPath(text: string): JsonPath | undefined {
  const steps: Step[] = [];
  let i = text.startsWith("$") || text.startsWith("@") ? 1 : 0;
  while (i < text.length) {
    const ch = text.charAt(i);
    if (ch === "[") {
      const end = closingBracket(text, i);
      if (end < 0) return undefined;
      const step = bracketStep(text.slice(i + 1, end).trim());
      if (step === undefined) return undefined;
      steps.push(step);
      i = end + 1;
      continue;
    }
    if (ch === ".") i++;
    else if (i > 0) return undefined;
    let name = "";
    for (; i < text.length && text.charAt(i) !== "." && text.charAt(i) !== "["; i++) {
      if (text.charAt(i) === "\\") i++;
      name += text.charAt(i);
    }
    if (name === "*") steps.push({ type: "all" });
    else if (name !== "") steps.push({ type: "member", name });
    else if (text.charAt(i) === ".") return undefined;
  }
  return steps;
}

/** All values that the path leads to. */
export function findValues(path: JsonPath, root: unknown): readonly unknown[] {
  let values: readonly unknown[] = [root];
  for (const step of path) values = values.flatMap((value) => follow(step, value));
  return values;
}

function follow(step: Step, value: unknown): readonly unknown[] {
  switch (step.type) {
    case "member": {
      const found = memberOf(value, step.name);
      return found === undefined ? [] : [found];
    }
    case "index": {
      if (!Array.isArray(value)) return [];
      const found: unknown = value.at(step.index);
      return found === undefined ? [] : [found];
    }
    case "all":
      if (Array.isArray(value)) return value as readonly unknown[];
      return typeof value === "object" && value !== null ? Object.values(value) : [];
    case "exists":
      return elements(value).filter((element) => findValues(step.path, element).length > 0);
    case "filter":
      return elements(value).filter((element) =>
        findValues(step.path, element).some((found) => compare(found, step.operator, step.literal)),
      );
  }
}

function elements(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as readonly unknown[]) : [];
}

function memberOf(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  return Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined;
}

function compare(left: unknown, operator: string, right: unknown): boolean {
  if (operator === "==") return left === right;
  if (operator === "!=") return left !== right;
  const ordered =
    (typeof left === "number" && typeof right === "number") || (typeof left === "string" && typeof right === "string");
  if (!ordered) return false;
  switch (operator) {
    case "<":
      return left < right;
    case "<=":
      return left <= right;
    case ">":
      return left > right;
    default:
      return left >= right;
  }
}

function bracketStep(inner: string): Step | undefined {
  if (inner === "*") return { type: "all" };
  if (/^-?\d+$/.test(inner)) return { type: "index", index: Number(inner) };
  const quoted = /^(['"])(.*)\1$/s.exec(inner)?.[2];
  if (quoted !== undefined) return { type: "member", name: quoted };
  const condition = /^\?\((.*)\)$/s.exec(inner)?.[1]?.trim();
  if (condition === undefined) return undefined;
  const found = OPERATORS.map((operator) => ({ operator, at: condition.indexOf(operator) }))
    .filter(({ at }) => at > 0)
    .sort((a, b) => a.at - b.at || b.operator.length - a.operator.length)[0];
  const left = parseJsonPath((found === undefined ? condition : condition.slice(0, found.at)).trim());
  if (left === undefined) return undefined;
  if (found === undefined) return { type: "exists", path: left };
  const literal = literalOf(condition.slice(found.at + found.operator.length).trim());
  return literal === undefined
    ? undefined
    : { type: "filter", path: left, operator: found.operator, literal: literal.value };
}

function literalOf(text: string): { readonly value: unknown } | undefined {
  const quoted = /^(['"])(.*)\1$/s.exec(text)?.[2];
  if (quoted !== undefined) return { value: quoted };
  if (text === "true" || text === "false") return { value: text === "true" };
  const number = Number(text);
  return text === "" || Number.isNaN(number) ? undefined : { value: number };
}

/** Index of the bracket that closes the one at `open`, past quoted text and inner brackets. */
function closingBracket(text: string, open: number): number {
  let depth = 0;
  let quote = "";
  for (let i = open; i < text.length; i++) {
    const ch = text.charAt(i);
    if (quote !== "") {
      if (ch === "\\") i++;
      else if (ch === quote) quote = "";
    } else if (ch === "'" || ch === '"') quote = ch;
    else if (ch === "[") depth++;
    else if (ch === "]" && --depth === 0) return i;
  }
  return -1;
}

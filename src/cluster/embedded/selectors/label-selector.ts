import { labelValueProblems, qualifiedNameProblems } from "../metadata/names.ts";
import { badRequest } from "../status-errors.ts";

type Labels = Readonly<Record<string, string>>;

/** One comma-separated term of a label selector. */
export type LabelRequirement =
  | { readonly op: "in" | "notin"; readonly key: string; readonly values: ReadonlySet<string> }
  | { readonly op: "exists" | "absent"; readonly key: string }
  | { readonly op: "gt" | "lt"; readonly key: string; readonly than: number };

/** Longest selector text; a URL would not carry more either. */
const MAX_SELECTOR_BYTES = 16 * 1024;
const IDENTIFIER_ENDS = /[\s=!<>(),]/;
const SYMBOLS = ["==", "!=", "=", "!", "<", ">", "(", ")", ","] as const;
const OPERATORS = "in, notin, =, ==, !=, gt, lt";

/** A symbol, an identifier, or the end. */
interface Token {
  readonly type: (typeof SYMBOLS)[number] | "identifier" | "end";
  readonly text: string;
}

function tokensOf(text: string): readonly Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (at < text.length) {
    if (/\s/.test(text.charAt(at))) {
      at++;
      continue;
    }
    const symbol = SYMBOLS.find((each) => text.startsWith(each, at));
    let end = at + (symbol?.length ?? 0);
    if (symbol === undefined) while (end < text.length && !IDENTIFIER_ENDS.test(text.charAt(end))) end++;
    tokens.push({ type: symbol ?? "identifier", text: text.slice(at, end) });
    at = end;
  }
  tokens.push({ type: "end", text: "" });
  return tokens;
}

function unexpected(token: Token, expected: string): string {
  return `found '${token.text}', expected: ${expected}`;
}

/** Reads a label selector as apimachinery's parser does, with its words for what is wrong. */
class SelectorParser {
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(text: string) {
    this.#tokens = tokensOf(text);
  }

  requirements(): readonly LabelRequirement[] {
    const found: LabelRequirement[] = [];
    for (;;) {
      const token = this.#peek();
      if (token.type !== "identifier" && token.type !== "!") {
        if (token.type === "end" && found.length === 0) return found;
        throw badRequest(unexpected(token, "!, identifier, or 'end of string'"));
      }
      found.push(this.#requirement());
      const next = this.#take();
      if (next.type === "end") return found;
      if (next.type !== ",") throw badRequest(unexpected(next, "',' or 'end of string'"));
      const after = this.#peek();
      if (after.type !== "identifier" && after.type !== "!")
        throw badRequest(unexpected(after, "identifier after ','"));
    }
  }

  #requirement(): LabelRequirement {
    const absent = this.#peek().type === "!";
    if (absent) this.#take();
    const token = this.#take();
    if (token.type !== "identifier") throw unparsable(unexpected(token, "identifier"));
    const key = token.text;
    for (const problem of qualifiedNameProblems(key, "label key")) throw unparsable(invalid("<nil>", key, problem));
    if (absent) return { op: "absent", key };
    const operator = this.#peek();
    if (operator.type === "end" || operator.type === ",") return { op: "exists", key };
    this.#take();
    switch (operator.type) {
      case "=":
      case "==":
        return { op: "in", key, values: new Set([this.#value(key, 0)]) };
      case "!=":
        return { op: "notin", key, values: new Set([this.#value(key, 0)]) };
      case ">":
      case "<": {
        const value = this.#value(key, 0);
        if (!/^[-+]?\d+$/.test(value))
          throw unparsable(invalid("values[0]", value, "for 'Gt', 'Lt' operators, the value must be an integer"));
        return { op: operator.type === ">" ? "gt" : "lt", key, than: Number(value) };
      }
      default:
        if (operator.text !== "in" && operator.text !== "notin") throw unparsable(unexpected(operator, OPERATORS));
        return { op: operator.text, key, values: this.#values(key) };
    }
  }

  /** The value after an operator; nothing is the empty value. */
  #value(key: string, index: number): string {
    const token = this.#peek();
    if (token.type === "identifier") this.#take();
    else if (token.type !== "end" && token.type !== ",") throw unparsable(unexpected(token, "identifier"));
    const value = token.type === "identifier" ? token.text : "";
    for (const problem of labelValueProblems(value))
      throw unparsable(invalid(`values[${index}][${key}]`, value, problem));
    return value;
  }

  /** The values of `in` and `notin`, in parentheses. */
  #values(key: string): ReadonlySet<string> {
    const open = this.#take();
    if (open.type !== "(") throw unparsable(unexpected(open, "'('"));
    const values = new Set<string>();
    for (;;) {
      const token = this.#peek();
      if (token.type === "identifier") {
        values.add(this.#value(key, values.size));
        const next = this.#take();
        if (next.type === ")") return values;
        if (next.type !== ",") throw unparsable(unexpected(next, "',' or ')'"));
        continue;
      }
      if (token.type !== "," && token.type !== ")") throw unparsable(unexpected(token, "',', ')' or identifier"));
      values.add("");
      this.#take();
      if (token.type === ")") return values;
    }
  }

  #peek(): Token {
    return this.#tokens[this.#at] ?? { type: "end", text: "" };
  }

  #take(): Token {
    const token = this.#peek();
    this.#at++;
    return token;
  }
}

function unparsable(why: string): Error {
  return badRequest(`unable to parse requirement: ${why}`);
}

function invalid(field: string, value: string, problem: string): string {
  return `${field}: Invalid value: ${JSON.stringify(value)}: ${problem}`;
}

/** Parses Kubernetes label selector syntax; an empty text selects everything. @throws ApiStatusError 400 */
export function parseLabelSelector(text: string): readonly LabelRequirement[] {
  if (text.length > MAX_SELECTOR_BYTES) throw badRequest(`label selector is longer than ${MAX_SELECTOR_BYTES} bytes`);
  return new SelectorParser(text).requirements();
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

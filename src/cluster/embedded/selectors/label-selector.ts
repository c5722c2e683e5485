import { badRequest } from "../status-errors.ts";

type Labels = Readonly<Record<string, string>>;

/** One comma-separated term of a label selector. */
export type LabelRequirement =
  | { readonly op: "in" | "notin"; readonly key: string; readonly values: ReadonlySet<string> }
  | { readonly op: "exists" | "absent"; readonly key: string }
  | { readonly op: "gt" | "lt"; readonly key: string; readonly than: number };

const KEY = /^(?:[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?$/;
const VALUE = /^(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/;
const TERM = /^(?<key>[^\s=!<>(),]+)\s*(?:(?<op>==|=|!=|>|<)\s*(?<value>[^\s=!<>(),]*))?$/;
const SET_TERM = /^(?<key>[^\s=!<>(),]+)\s+(?<op>in|notin)\s*\((?<values>[^()]*)\)$/;
/** Longest selector text; a URL would not carry more either. */
const MAX_SELECTOR_BYTES = 16 * 1024;

function unparsable(text: string, why: string): Error {
  return badRequest(`unable to parse requirement: ${why} in label selector ${JSON.stringify(text)}`);
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

function checkKey(key: string, text: string): string {
  if (!KEY.test(key)) throw unparsable(text, `invalid label key ${JSON.stringify(key)}`);
  return key;
}

function checkValue(value: string, text: string): string {
  if (!VALUE.test(value) || value.length > 63) {
    throw unparsable(text, `invalid label value ${JSON.stringify(value)}`);
  }
  return value;
}

function requirement(term: string, text: string): LabelRequirement {
  if (term.startsWith("!")) return { op: "absent", key: checkKey(term.slice(1).trim(), text) };
  const set = SET_TERM.exec(term)?.groups;
  if (set) {
    const values = (set["values"] ?? "").split(",").map((value) => checkValue(value.trim(), text));
    return {
      op: set["op"] === "in" ? "in" : "notin",
      key: checkKey(set["key"] ?? "", text),
      values: new Set(values),
    };
  }
  const plain = TERM.exec(term)?.groups;
  if (!plain) throw unparsable(text, `found ${JSON.stringify(term)}`);
  const key = checkKey(plain["key"] ?? "", text);
  const value = plain["value"] ?? "";
  switch (plain["op"]) {
    case undefined:
      return { op: "exists", key };
    case "=":
    case "==":
      return { op: "in", key, values: new Set([checkValue(value, text)]) };
    case "!=":
      return { op: "notin", key, values: new Set([checkValue(value, text)]) };
    default: {
      if (!/^-?\d+$/.test(value)) throw unparsable(text, `${JSON.stringify(value)} is not an integer`);
      return { op: plain["op"] === ">" ? "gt" : "lt", key, than: Number(value) };
    }
  }
}

/** Parses Kubernetes label selector syntax; an empty text selects everything. @throws ApiStatusError 400 */
export function parseLabelSelector(text: string): readonly LabelRequirement[] {
  if (text.length > MAX_SELECTOR_BYTES) throw badRequest(`label selector is longer than ${MAX_SELECTOR_BYTES} bytes`);
  if (text.trim() === "") return [];
  return terms(text).map((term) => requirement(term, text));
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

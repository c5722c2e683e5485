import { canonicalJson } from "../../base/canonical-json.ts";
import { sha256Hex } from "../../base/digest.ts";
import { type Rule, type RuleInput, ruleOf, ruleToJson } from "../rules/rule.ts";

function canonicalList(list: readonly string[], starAbsorbs: boolean): readonly string[] {
  if (list.length < 2) return list;
  if (starAbsorbs && list.includes("*")) return ["*"];
  return [...new Set(list)].sort();
}

/** Canonical form of one rule: sorted unique lists, `*` alone where it absorbs (names are literals and never absorbed; §6.4). */
export function canonicalRule(input: RuleInput): Rule {
  const rule = ruleOf(input);
  return {
    verbs: canonicalList(rule.verbs, true),
    apiGroups: canonicalList(rule.apiGroups, true),
    resources: canonicalList(rule.resources, true),
    resourceNames: canonicalList(rule.resourceNames, false),
    nonResourceURLs: canonicalList(rule.nonResourceURLs, true),
  };
}

/** Canonical list: canonical rules without duplicates, sorted by their canonical text. Rules are never merged (permissions §6.3). */
export function canonicalRules(rules: readonly RuleInput[]): readonly Rule[] {
  const byText = new Map<string, Rule>();
  for (const input of rules) {
    const rule = canonicalRule(input);
    byText.set(canonicalJson(ruleToJson(rule)), rule);
  }
  return [...byText.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, rule]) => rule);
}

/** JCS text of a canonical list. */
export function rulesText(canonical: readonly Rule[]): string {
  return canonicalJson(canonical.map(ruleToJson));
}

/** {@link rulesText} of a list that is canonical as it stands; undefined for any other. Encodes every rule once. */
export function canonicalText(rules: readonly Rule[]): string | undefined {
  let text = "";
  let previous = "";
  for (const rule of rules) {
    if (!isCanonicalRule(rule)) return undefined;
    const own = canonicalJson(ruleToJson(rule));
    if (own <= previous) return undefined;
    text += previous === "" ? own : `,${own}`;
    previous = own;
  }
  return `[${text}]`;
}

function isCanonicalRule(rule: Rule): boolean {
  const { verbs, apiGroups, resources, resourceNames, nonResourceURLs } = rule;
  return (
    isCanonicalList(verbs, true) &&
    isCanonicalList(apiGroups, true) &&
    isCanonicalList(resources, true) &&
    isCanonicalList(resourceNames, false) &&
    isCanonicalList(nonResourceURLs, true)
  );
}

function isCanonicalList(list: readonly string[], starAbsorbs: boolean): boolean {
  for (let i = 1; i < list.length; i++) if ((list[i - 1] ?? "") >= (list[i] ?? "")) return false;
  return list.length < 2 || !starAbsorbs || !list.includes("*");
}

/** `rs-` and the first 32 hex digits of SHA-256 over the canonical list: content-addressed, shared by subjects (permissions §6.4). */
export function ruleSetId(canonical: readonly Rule[]): string {
  return ruleSetIdOf(rulesText(canonical));
}

/** {@link ruleSetId} of a list by its text. */
export function ruleSetIdOf(text: string): string {
  return `rs-${sha256Hex(text).slice(0, 32)}`;
}

/** SHA-256 over the canonical list, 64 hex digits: `status.rulesHash` of a PermissionSet. */
export function rulesHash(rules: readonly RuleInput[]): string {
  return sha256Hex(rulesText(canonicalRules(rules)));
}

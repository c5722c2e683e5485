import type { RuleInput } from "./rule.ts";
import type { RuleFinding } from "./rule-validation.ts";

/** Verbs that let a holder widen rights: shown in status, never hidden (permissions §2.1). */
export const SENSITIVE_VERBS: readonly string[] = ["*", "bind", "escalate", "impersonate"];

const NAMELESS_VERBS: ReadonlySet<string> = new Set(["create", "deletecollection"]);

function looksLikePattern(resource: string): boolean {
  return resource !== "*" && !/^\*\/[^*]+$/.test(resource) && resource.includes("*");
}

/** Warnings: valid rules that probably do not mean what they seem to (permissions §5.7). They go to status and never refuse. */
export function lintRules(rules: readonly RuleInput[], path: string): readonly RuleFinding[] {
  const findings: RuleFinding[] = [];
  for (const [i, rule] of rules.entries()) {
    const at = `${path}[${i}]`;
    const { verbs = [], resources = [], resourceNames = [], nonResourceURLs = [] } = rule;
    for (const verb of verbs.filter((v) => SENSITIVE_VERBS.includes(v)))
      findings.push({
        field: `${at}.verbs`,
        message: `"${verb}" lets its holder widen rights`,
        remedy: "name the verbs that are needed",
      });
    for (const resource of resources.filter(looksLikePattern))
      findings.push({
        field: `${at}.resources`,
        message: `"${resource}" is a literal, not a pattern`,
        remedy: 'use "*", a name, "name/sub" or "*/sub"',
      });
    for (const name of resourceNames.filter((n) => n.includes("*")))
      findings.push({
        field: `${at}.resourceNames`,
        message: `"${name}" is a literal name, not a pattern`,
        remedy: "leave resourceNames out for every name",
      });
    if (resourceNames.length > 0)
      for (const verb of verbs.filter((v) => NAMELESS_VERBS.has(v)))
        findings.push({
          field: `${at}.resourceNames`,
          message: `"${verb}" requests usually carry no name, so this rule seldom grants it`,
          remedy: `put "${verb}" into a rule without resourceNames`,
        });
    for (const url of nonResourceURLs.filter((u) => u.replace(/\*+$/, "").includes("*")))
      findings.push({
        field: `${at}.nonResourceURLs`,
        message: `a star inside "${url}" is a literal`,
        remedy: "only trailing stars are a prefix",
      });
  }
  return findings;
}

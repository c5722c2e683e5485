import type { RuleInput } from "./rule.ts";

/** Rules per PermissionSet (permissions §6.5). */
export const MAX_RULES_PER_SET = 1_000;
/** Expanded (group x resource) entries per rule set (permissions §6.5). */
export const MAX_ENTRIES_PER_RULE_SET = 65_536;
/** Longest verb token (permissions §2.1). */
const MAX_VERB_LENGTH = 63;
/** Longest group, resource, name or path. */
const MAX_TOKEN_LENGTH = 512;

const VERB = /^[A-Za-z0-9*_-]+$/;

/** One finding about a rule list: which field, what was expected and found, what to do. */
export interface RuleFinding {
  /** Path such as `spec.permissions[2].verbs[0]`. */
  readonly field: string;
  /** Expectation and finding, for people. */
  readonly message: string;
  /** What to do. */
  readonly remedy: string;
}

/** `field: message; remedy`. */
export function findingText(finding: RuleFinding): string {
  return `${finding.field}: ${finding.message}; ${finding.remedy}`;
}

/** Entries that a rule expands to in an index: groups times resources, times names when there are any. */
export function expandedEntries(rule: RuleInput): number {
  return (rule.apiGroups?.length ?? 0) * (rule.resources?.length ?? 0) * Math.max(1, rule.resourceNames?.length ?? 0);
}

function* tokenFindings(field: string, list: readonly string[], emptyAllowed: boolean): Generator<RuleFinding> {
  for (const [i, token] of list.entries()) {
    if (token === "" && !emptyAllowed)
      yield { field: `${field}[${i}]`, message: 'entries are non-empty, found ""', remedy: "remove the empty entry" };
    else if (token.length > MAX_TOKEN_LENGTH)
      yield {
        field: `${field}[${i}]`,
        message: `entries have at most ${MAX_TOKEN_LENGTH} characters, found ${token.length}`,
        remedy: "shorten it",
      };
    else if (/[\s\0]/.test(token) || !token.isWellFormed())
      yield {
        field: `${field}[${i}]`,
        message: `entries hold no white space, NUL or broken characters, found ${JSON.stringify(token)}`,
        remedy: "correct the entry",
      };
  }
}

function* oneRule(rule: RuleInput, at: string): Generator<RuleFinding> {
  const { verbs = [], apiGroups = [], resources = [], resourceNames = [], nonResourceURLs = [] } = rule;
  if (verbs.length === 0)
    yield { field: `${at}.verbs`, message: "at least one verb is required, found none", remedy: "name the verbs" };
  for (const [i, verb] of verbs.entries()) {
    if (verb.length > MAX_VERB_LENGTH || !VERB.test(verb))
      yield {
        field: `${at}.verbs[${i}]`,
        message: `a verb is 1 to ${MAX_VERB_LENGTH} characters of A-Z a-z 0-9 * _ -, found ${JSON.stringify(verb)}`,
        remedy: "use the verb as the API server names it",
      };
  }
  if (nonResourceURLs.length > 0) {
    const mixed = [
      ["apiGroups", apiGroups],
      ["resources", resources],
      ["resourceNames", resourceNames],
    ] as const;
    for (const [name, list] of mixed) {
      if (list.length > 0)
        yield {
          field: `${at}.${name}`,
          message: `a rule with nonResourceURLs has no ${name}, found ${list.length}`,
          remedy: "make two rules of it",
        };
    }
    yield* tokenFindings(`${at}.nonResourceURLs`, nonResourceURLs, false);
    for (const [i, url] of nonResourceURLs.entries()) {
      if (url !== "" && url !== "*" && !url.startsWith("/"))
        yield {
          field: `${at}.nonResourceURLs[${i}]`,
          message: `a path starts with "/" or is "*", found ${JSON.stringify(url)}`,
          remedy: "write the path from the root",
        };
    }
    return;
  }
  if (apiGroups.length === 0)
    yield {
      field: `${at}.apiGroups`,
      message:
        "a resource rule names its API groups, found none (which one reader takes for core and another for nothing)",
      remedy: 'write [""] for the core group or ["*"] for all',
    };
  if (resources.length === 0)
    yield {
      field: `${at}.resources`,
      message: "a resource rule names at least one resource, found none",
      remedy: 'name the resources, or ["*"] for all',
    };
  yield* tokenFindings(`${at}.apiGroups`, apiGroups, true);
  yield* tokenFindings(`${at}.resources`, resources, false);
  yield* tokenFindings(`${at}.resourceNames`, resourceNames, false);
}

/** Everything that is wrong with a rule list, not only the first thing (permissions §7.1). `path` is the field of the list. */
export function validateRules(rules: readonly RuleInput[], path: string): readonly RuleFinding[] {
  const findings: RuleFinding[] = [];
  if (rules.length === 0)
    findings.push({ field: path, message: "at least one rule is required, found none", remedy: "add a rule" });
  if (rules.length > MAX_RULES_PER_SET)
    findings.push({
      field: path,
      message: `at most ${MAX_RULES_PER_SET} rules, found ${rules.length}`,
      remedy: "split the set",
    });
  let entries = 0;
  for (const [i, rule] of rules.slice(0, MAX_RULES_PER_SET).entries()) {
    findings.push(...oneRule(rule, `${path}[${i}]`));
    entries += expandedEntries(rule);
  }
  if (entries > MAX_ENTRIES_PER_RULE_SET)
    findings.push({
      field: path,
      message: `rules expand to at most ${MAX_ENTRIES_PER_RULE_SET} entries (groups x resources x names), found ${entries}`,
      remedy: "split the set or use fewer names",
    });
  return findings;
}

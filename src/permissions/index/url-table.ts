import { urlPrefix } from "../../api/rbac/match.ts";
import type { Rule } from "../rules/rule.ts";

/** Non-resource rules of one rule set: exact paths, and prefixes by length. `*` is the empty prefix. Plain data, so it can be posted. */
export interface UrlTable {
  readonly exact: Map<string, Set<string>>;
  readonly prefixes: Map<string, Set<string>>;
  /** Distinct lengths of prefixes, ascending. */
  readonly lengths: number[];
}

/** Empty table. */
export function newUrlTable(): UrlTable {
  return { exact: new Map(), prefixes: new Map(), lengths: [] };
}

/** Adds what `rule` says about paths. */
export function addUrls(table: UrlTable, rule: Rule): void {
  for (const entry of rule.nonResourceURLs) {
    const isPrefix = entry.endsWith("*");
    const key = isPrefix ? urlPrefix(entry) : entry;
    const verbsByKey = isPrefix ? table.prefixes : table.exact;
    let verbs = verbsByKey.get(key);
    if (verbs === undefined) {
      verbs = new Set();
      verbsByKey.set(key, verbs);
      if (isPrefix && !table.lengths.includes(key.length)) {
        table.lengths.push(key.length);
        table.lengths.sort((a, b) => a - b);
      }
    }
    for (const verb of rule.verbs) verbs.add(verb);
  }
}

/** True when a rule of the table allows `verb` on `path`. */
export function urlAllowed(table: UrlTable, verb: string, path: string): boolean {
  if (has(table.exact.get(path), verb)) return true;
  for (const length of table.lengths) {
    if (length > path.length) return false;
    if (has(table.prefixes.get(path.slice(0, length)), verb)) return true;
  }
  return false;
}

function has(verbs: Set<string> | undefined, verb: string): boolean {
  return verbs !== undefined && (verbs.has("*") || verbs.has(verb));
}

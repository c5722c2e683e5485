import { groupMatches, nameMatches, pathMatches, resourceMatches, verbMatches } from "../../../api/rbac/match.ts";
import { type Rule, ruleOf } from "../../../api/rbac/rule.ts";

/** Combinations of group, resource, name and verb that one role may have to be compared; a rule multiplies its lists. */
const MAX_ATOMS = 100_000;

/** A role has more combinations than {@link MAX_ATOMS}. */
export class TooBroadError extends Error {
  override readonly name = "TooBroadError";
  constructor() {
    super(`the rules have more than ${MAX_ATOMS} combinations to compare with the permissions currently held`);
  }
}

/**
 * The single permissions of `wanted` that no rule of `held` gives. A single one asks for a literal verb, group, resource and name, so
 * it is covered by exactly the rules that would match it as a request.
 *
 * @throws TooBroadError
 */
export function missingAtoms(held: readonly Rule[], wanted: readonly Rule[]): readonly Rule[] {
  const missing: Rule[] = [];
  let count = 0;
  for (const rule of wanted) {
    for (const atom of atomsOf(rule)) {
      if (++count > MAX_ATOMS) throw new TooBroadError();
      if (!held.some((each) => covers(each, atom))) missing.push(atom);
    }
  }
  return missing;
}

function* atomsOf({ verbs, apiGroups, resources, resourceNames, nonResourceURLs }: Rule): Generator<Rule> {
  for (const group of apiGroups) {
    for (const resource of resources) {
      for (const verb of verbs) {
        const single = { apiGroups: [group], resources: [resource], verbs: [verb] };
        if (resourceNames.length === 0) yield ruleOf(single);
        for (const name of resourceNames) yield ruleOf({ ...single, resourceNames: [name] });
      }
    }
  }
  for (const path of nonResourceURLs) {
    for (const verb of verbs) yield ruleOf({ nonResourceURLs: [path], verbs: [verb] });
  }
}

function covers(rule: Rule, atom: Rule): boolean {
  const [verb = ""] = atom.verbs;
  if (!verbMatches(rule, verb)) return false;
  const [path] = atom.nonResourceURLs;
  if (path !== undefined) return pathMatches(rule, path);
  const [entry = ""] = atom.resources;
  const slash = entry.indexOf("/");
  const [resource, subresource] = slash < 0 ? [entry, ""] : [entry.slice(0, slash), entry.slice(slash + 1)];
  return (
    groupMatches(rule, atom.apiGroups[0] ?? "") &&
    resourceMatches(rule, resource, subresource) &&
    nameMatches(rule, atom.resourceNames[0] ?? "")
  );
}

/** Single permissions as Kubernetes lists them: verbs of the same resource together, one text per line, sorted. */
export function compactRules(atoms: readonly Rule[]): readonly string[] {
  const verbsOf = new Map<string, string[]>();
  const lines = new Set<string>();
  for (const { apiGroups, resources, resourceNames, nonResourceURLs, verbs } of atoms) {
    if (nonResourceURLs.length > 0) {
      lines.add(`{NonResourceURLs:${quotedList(nonResourceURLs)}, Verbs:${quotedList(verbs)}}`);
      continue;
    }
    const names = resourceNames.length === 0 ? "" : `, ResourceNames:${quotedList(resourceNames)}`;
    const text = `APIGroups:${quotedList(apiGroups)}, Resources:${quotedList(resources)}${names}`;
    const known = verbsOf.get(text);
    if (known === undefined) verbsOf.set(text, [...verbs]);
    else known.push(...verbs);
  }
  for (const [text, verbs] of verbsOf) lines.add(`{${text}, Verbs:${quotedList(verbs)}}`);
  return [...lines].sort();
}

/** A list as Go's `%q` shows it. */
export function quotedList(list: readonly string[]): string {
  return `[${list.map((item) => JSON.stringify(item)).join(" ")}]`;
}

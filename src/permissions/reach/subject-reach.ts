import { inForce } from "../decision/principal-context.ts";
import { type SubjectName, principalRefOf } from "../rules/principal.ts";
import {
  type SnapshotBinding,
  type SnapshotContent,
  type SnapshotSubject,
  subjectSortKey,
} from "../snapshot/content.ts";
import { NO_REACH, type PlacedRules, type Reach, reachOf } from "./reach.ts";

/** A subject with all that a snapshot lets it do at one moment. */
export interface SubjectReach {
  readonly subject: SubjectName;
  readonly reach: Reach;
  /** Equal keys mean equal reach, across contents: rule sets are named by what they say. */
  readonly key: string;
}

/** Bindings of one subject in force at `nowMs`: none while its principal is suspended. */
export function bindingsInForce(
  content: SnapshotContent,
  subject: SnapshotSubject,
  nowMs: number,
): readonly SnapshotBinding[] {
  if (isSuspended(content, subject)) return [];
  return subject.bindings.filter(({ expiresAt }) => inForce(expiresAt, nowMs));
}

/** Bindings with their rules. @param rulesOf see {@link rulesById} */
export function placed(
  bindings: readonly SnapshotBinding[],
  rulesOf: ReadonlyMap<string, PlacedRules["rules"]>,
): readonly PlacedRules[] {
  return bindings.map(({ scope, namespaces, ruleSet }) => ({ scope, namespaces, rules: rulesOf.get(ruleSet) ?? [] }));
}

/** Everybody's reach at `nowMs` (Unix milliseconds; infinity asks what stays when every time-bound grant has ended), by subject key. */
export function subjectReaches(content: SnapshotContent, nowMs: number): ReadonlyMap<string, SubjectReach> {
  const rulesOf = rulesById(content);
  return new Map(
    content.subjects.map((subject) => {
      const bindings = bindingsInForce(content, subject, nowMs);
      const key = [
        ...new Set(bindings.map(({ scope, namespaces, ruleSet }) => JSON.stringify([scope, namespaces, ruleSet]))),
      ];
      return [
        subjectSortKey(subject),
        { subject, reach: reachOf(placed(bindings, rulesOf)), key: key.sort().join(" ") },
      ];
    }),
  );
}

/** The reach of a subject that may be unknown. */
export function reachIn(reaches: ReadonlyMap<string, SubjectReach>, key: string): Reach {
  return reaches.get(key)?.reach ?? NO_REACH;
}

/** True when a snapshot denies the subject before any rule. A group is never suspended: its members are asked one by one. */
export function isSuspended(content: SnapshotContent, subject: SubjectName): boolean {
  return subject.kind !== "Group" && content.suspendedPrincipals.includes(principalRefOf(subject));
}

/** Rules of a snapshot by the id of their set. */
export function rulesById(content: SnapshotContent): ReadonlyMap<string, PlacedRules["rules"]> {
  return new Map(content.ruleSets.map(({ id, rules }) => [id, rules]));
}

/** `ServiceAccount ns/name`, `User name` or `Group name`. */
export function subjectText({ kind, namespace, name }: SubjectName): string {
  return `${kind} ${namespace === "" ? "" : `${namespace}/`}${name}`;
}

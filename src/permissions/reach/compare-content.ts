import type { SubjectName } from "../rules/principal.ts";
import type { SnapshotContent } from "../snapshot/content.ts";
import { type ReachDifference, beyond } from "./compare-reach.ts";
import { reachIn, subjectReaches } from "./subject-reach.ts";

/** What one subject gains or loses; `later` holds only after every time-bound grant has ended, or only until then. */
export interface SubjectChange extends ReachDifference {
  readonly subject: SubjectName;
  readonly change: "gains" | "loses";
  /** `now`: decisions of this moment. `end of time-bound grants`: what a changed or removed end of a grant does later. */
  readonly when: "now" | "end of time-bound grants";
}

/** Everything that differs between two contents in what anybody may do: the diff of all decisions, without asking any of them. */
export interface ContentChanges {
  readonly subjects: readonly SubjectChange[];
  /** Principals that only `after` denies before any rule. */
  readonly suspended: readonly string[];
  /** Principals that only `before` denied. */
  readonly resumed: readonly string[];
}

/**
 * Compares what two snapshots let everybody do (permissions §19 P12), pure. Exact by the algebra: a subject is listed exactly when some
 * request is decided differently, up to what is too large to compare, which is listed as such.
 *
 * @param nowMs Unix milliseconds: grants that have ended count as absent
 */
export function compareContents(before: SnapshotContent, after: SnapshotContent, nowMs: number): ContentChanges {
  const now = changesAt(before, after, nowMs, "now");
  const said = new Set(now.map(changeKey));
  const later = changesAt(before, after, Number.POSITIVE_INFINITY, "end of time-bound grants");
  const suspendedBefore = new Set(before.suspendedPrincipals);
  const suspendedAfter = new Set(after.suspendedPrincipals);
  return {
    subjects: [...now, ...later.filter((change) => !said.has(changeKey(change)))],
    suspended: after.suspendedPrincipals.filter((principal) => !suspendedBefore.has(principal)),
    resumed: before.suspendedPrincipals.filter((principal) => !suspendedAfter.has(principal)),
  };
}

/** True when nothing differs. */
export function isUnchanged({ subjects, suspended, resumed }: ContentChanges): boolean {
  return subjects.length + suspended.length + resumed.length === 0;
}

function changesAt(
  before: SnapshotContent,
  after: SnapshotContent,
  nowMs: number,
  when: SubjectChange["when"],
): readonly SubjectChange[] {
  const [held, next] = [subjectReaches(before, nowMs), subjectReaches(after, nowMs)];
  const found: SubjectChange[] = [];
  for (const key of [...new Set([...held.keys(), ...next.keys()])].sort()) {
    const subject = (held.get(key) ?? next.get(key))?.subject;
    if (subject === undefined || held.get(key)?.key === next.get(key)?.key) continue;
    const named: SubjectName = { kind: subject.kind, namespace: subject.namespace, name: subject.name };
    const [then, now] = [reachIn(held, key), reachIn(next, key)];
    for (const difference of beyond(now, then)) found.push({ subject: named, change: "loses", when, ...difference });
    for (const difference of beyond(then, now)) found.push({ subject: named, change: "gains", when, ...difference });
  }
  return found;
}

function changeKey({ subject, change, scope, namespaces, rules, more }: SubjectChange): string {
  return JSON.stringify([subject, change, scope, namespaces, rules, more]);
}

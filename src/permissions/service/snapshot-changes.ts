import { principalRefOf } from "../rules/principal.ts";
import { type SnapshotContent, type SnapshotSubject, bindingSortKey, subjectSortKey } from "../snapshot/content.ts";

/** Most principals named in one message of a watch. */
export const MAX_CHANGED = 1_000;
/** Snapshots with more subjects are not compared: everything counts as changed. */
const MAX_COMPARED = 5_000;

/** Whose grants differ between two contents. */
export type SnapshotChanges = { readonly all: true } | { readonly all: false; readonly principals: readonly string[] };

/** Compares two contents subject by subject; rule sets are content-addressed, so comparing bindings compares rules. */
export function snapshotChanges(before: SnapshotContent | undefined, after: SnapshotContent): SnapshotChanges {
  if (before === undefined || before.subjects.length > MAX_COMPARED || after.subjects.length > MAX_COMPARED)
    return { all: true };
  const changed = new Set<string>();
  const old = new Map(before.subjects.map((subject) => [subjectSortKey(subject), subject]));
  for (const subject of after.subjects) {
    const key = subjectSortKey(subject);
    const held = old.get(key);
    old.delete(key);
    if (held === undefined || grantsText(held) !== grantsText(subject)) changed.add(principalRefOf(subject));
  }
  for (const gone of old.values()) changed.add(principalRefOf(gone));
  for (const [list, other] of [
    [before.suspendedPrincipals, after.suspendedPrincipals],
    [after.suspendedPrincipals, before.suspendedPrincipals],
  ] as const)
    for (const principal of list) if (!other.includes(principal)) changed.add(principal);
  return changed.size > MAX_CHANGED ? { all: true } : { all: false, principals: [...changed].sort() };
}

function grantsText(subject: SnapshotSubject): string {
  return subject.bindings.map(bindingSortKey).join("\n");
}

import { atOnce } from "../../base/next-turn.ts";
import type { AccessRequest } from "../rules/access-request.ts";
import type { SubjectKind } from "../rules/principal.ts";
import { scopeAdmits } from "../rules/scope.ts";
import type { PermissionIndex } from "../index/permission-index.ts";
import type { SnapshotBinding, SnapshotSubject } from "../snapshot/content.ts";
import { allowsUnderSomeName } from "./check.ts";
import { MAX_CONDITIONAL_NAMES, inForce } from "./principal-context.ts";

/** A subject that may do what was asked. */
export interface CapableSubject {
  readonly subject: SnapshotSubject;
  /** Empty when it is allowed outright; otherwise only under these names. */
  readonly conditionalNames: readonly string[];
  /** The bindings that grant it, in content order. */
  readonly bindings: readonly SnapshotBinding[];
}

interface Findings {
  readonly granting: SnapshotBinding[];
  readonly conditional: SnapshotBinding[];
  readonly names: Set<string>;
}

/** Rule sets, bindings and subjects that are looked at between two pauses: some milliseconds of work. */
const SLICE = 5_000;

/**
 * Exact inverse of `check` over the subjects of the snapshot: a subject is listed if and only if a check for it alone (its own name
 * or group, no other group) is allowed, or conditional on a name. In the order of the content. Costs rule sets plus results.
 *
 * @param kinds empty means all
 * @param nowMs wall clock, Unix milliseconds
 */
export function whoCan(
  index: PermissionIndex,
  request: AccessRequest,
  kinds: readonly SubjectKind[],
  nowMs: number,
): readonly CapableSubject[] {
  return atOnce(whoCanSteps(index, request, kinds, nowMs));
}

/** {@link whoCan} in slices: yields where others may have their turn, so that a large answer holds up nobody. */
export function* whoCanSteps(
  index: PermissionIndex,
  request: AccessRequest,
  kinds: readonly SubjectKind[],
  nowMs: number,
): Generator<void, readonly CapableSubject[]> {
  const byHolder = new Map<number, Findings>();
  let work = 0;
  for (const [number, { rules }] of index.content.ruleSets.entries()) {
    if (++work > SLICE) {
      work = 0;
      yield;
    }
    const outcome = index.decideRuleSet(number, request);
    if (outcome === "denied") continue;
    const names =
      outcome === "conditional"
        ? rules.filter((rule) => allowsUnderSomeName(rule, request)).flatMap((rule) => rule.resourceNames)
        : [];
    index.postings(number, (holder, _subject, binding) => {
      work++;
      if (holder < 0 || !scopeAdmits(binding, request) || !inForce(binding.expiresAt, nowMs)) return;
      let findings = byHolder.get(holder);
      if (findings === undefined) {
        findings = { granting: [], conditional: [], names: new Set() };
        byHolder.set(holder, findings);
      }
      if (outcome === "allowed") findings.granting.push(binding);
      else findings.conditional.push(binding);
      for (const name of names) findings.names.add(name);
    });
  }
  const found = new Map<number, CapableSubject>();
  for (const [holder, findings] of byHolder) {
    if (++work > SLICE) {
      work = 0;
      yield;
    }
    const outright = findings.granting.length > 0;
    const conditionalNames = outright ? [] : [...findings.names].sort().slice(0, MAX_CONDITIONAL_NAMES);
    for (const position of index.holderSubjects(holder)) {
      const subject = index.content.subjects[position];
      if (subject === undefined || (kinds.length > 0 && !kinds.includes(subject.kind))) continue;
      if (subject.kind !== "Group" && index.isSuspended(userOf(subject))) continue;
      found.set(position, {
        subject,
        conditionalNames,
        bindings: outright ? findings.granting : findings.conditional,
      });
    }
  }
  const positions = Int32Array.from(found.keys()).sort();
  return Array.from(positions, (position) => found.get(position)).filter((capable) => capable !== undefined);
}

/** True while a check for the subject alone is still allowed, or conditional on a name: for pages of a list that was begun earlier. */
export function isStillCapable(
  index: PermissionIndex,
  { subject }: CapableSubject,
  request: AccessRequest,
  nowMs: number,
): boolean {
  const [user, groups] = subject.kind === "Group" ? ["", [subject.name]] : [userOf(subject), []];
  const outcome = index.decide(user, groups, request, nowMs);
  return outcome === "allowed" || outcome === "conditional";
}

function userOf(subject: SnapshotSubject): string {
  return subject.kind === "ServiceAccount"
    ? `system:serviceaccount:${subject.namespace}:${subject.name}`
    : subject.name;
}

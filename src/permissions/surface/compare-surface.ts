import { type Digest, digestOf } from "../../base/digest.ts";
import { canonicalRules, rulesText } from "../algebra/canonical.ts";
import { type ReachDifference, beyond, placeText } from "../reach/compare-reach.ts";
import { type PlacedRules, reachOf } from "../reach/reach.ts";
import { bindingsInForce, isSuspended, placed, rulesById, subjectText } from "../reach/subject-reach.ts";
import { type SubjectName, derivedGroups, principalRefOf, subjectOfPrincipal } from "../rules/principal.ts";
import type { Rule } from "../rules/rule.ts";
import { type SnapshotContent, type SnapshotSubject, subjectSortKey } from "../snapshot/content.ts";
import type { RbacSurface } from "./rbac-surface.ts";

/** Most differences of each side that are listed (permissions §2.5). */
export const MAX_SURFACE_DIFFERENCES = 50;
/** Longest text of a difference, characters: all of them together stay far below what an object or a message may hold. */
const MAX_TEXT = 300;
/** Namespaces named in one difference. */
const MAX_PLACES = 5;

/** One right by which a cluster's own RBAC differs from the snapshot. */
export interface SurfaceDifference {
  /** `ServiceAccount ns/name`, `User name` or `Group name`. */
  readonly subject: string;
  /** `cluster-wide` or `in a, b`. */
  readonly where: string;
  /** In words. */
  readonly rule: string;
  /** The binding that gives it; empty for what is missing. */
  readonly binding: string;
}

/** How a cluster's RBAC stands to its snapshot. */
export interface SurfaceReport {
  /** What governed subjects may do on the cluster beyond the snapshot; at most {@link MAX_SURFACE_DIFFERENCES}. */
  readonly excess: readonly SurfaceDifference[];
  readonly excessTotal: number;
  /** What the snapshot grants and the cluster does not; as bounded. */
  readonly missing: readonly SurfaceDifference[];
  readonly missingTotal: number;
  /** Digest of everything the cluster grants governed subjects: equal surfaces have equal digests. */
  readonly surfaceHash: Digest;
}

/** What a snapshot is compared with. */
export interface ComparedSurface {
  readonly surface: RbacSurface;
  /** Namespaces of the cluster: elsewhere nothing can be missing. */
  readonly namespaces: Iterable<string>;
  /** Unix milliseconds: grants that have ended count as absent. */
  readonly nowMs: number;
}

/**
 * Drift of the RBAC surface (permissions §10.5), pure: for every governed subject - one the snapshot grants something, or whose profile it
 * records - the rules reachable through the cluster's own bindings against those of the snapshot, by cover tests. Groups that
 * Kubernetes' authenticators add count on both sides; what the API server binds for itself is never excess.
 */
export function compareSurface(
  content: SnapshotContent,
  { surface, namespaces, nowMs }: ComparedSurface,
): SurfaceReport {
  const existing = new Set(namespaces);
  const rulesOf = rulesById(content);
  const bySubject = new Map(content.subjects.map((subject) => [subjectSortKey(subject), subject]));
  const expectedOf = (key: string): readonly PlacedRules[] => {
    const subject = bySubject.get(key);
    return subject === undefined ? [] : placed(bindingsInForce(content, subject, nowMs), rulesOf);
  };
  const excess = new Collected();
  const missing = new Collected();
  const facts: string[] = [];
  const texts = new RuleTexts();
  for (const subject of governedSubjects(content)) {
    const key = subjectSortKey(subject);
    const groups = groupsOf(subject).map((name) => subjectSortKey({ kind: "Group", namespace: "", name }));
    const own = surface.get(key) ?? [];
    const actual = [...own, ...groups.flatMap((group) => surface.get(group) ?? [])];
    for (const { scope, namespaces: places, rules } of own)
      facts.push(JSON.stringify([key, scope, places, texts.of(rules)]));
    const expected = expectedOf(key);
    const allowed = isSuspended(content, subject) ? [] : [...expected, ...groups.flatMap(expectedOf)];
    const reachable = reachOf(allowed);
    const granted = new ExactGrants(allowed, texts);
    for (const grant of actual)
      if (!grant.bootstrap) excess.add(subject, beyond(reachable, reachOf(granted.lacking(grant))), grant.binding);
    const bound = new ExactGrants(actual, texts);
    const lacking = expected.flatMap((grant) => bound.lacking(inExisting(grant, existing)));
    missing.add(subject, beyond(reachOf(actual), reachOf(lacking)), "");
  }
  return {
    excess: excess.listed,
    excessTotal: excess.total,
    missing: missing.listed,
    missingTotal: missing.total,
    surfaceHash: digestOf(Buffer.from(facts.sort().join("\n"))),
  };
}

/** A namespaced grant in the namespaces there are; nothing is missing in one that does not exist. */
function inExisting(grant: PlacedRules, existing: ReadonlySet<string>): PlacedRules {
  if (grant.scope === "cluster") return grant;
  const places = grant.namespaces.length === 0 ? [...existing] : grant.namespaces.filter((name) => existing.has(name));
  return { ...grant, namespaces: places.sort() };
}

/** True when surface and snapshot agree. */
export function surfaceAgrees({ excessTotal, missingTotal }: SurfaceReport): boolean {
  return excessTotal + missingTotal === 0;
}

/** Everybody the snapshot speaks about, also those who have nothing now: a right they keep is what drift is about. */
function governedSubjects(content: SnapshotContent): readonly SubjectName[] {
  const found = new Map<string, SubjectName>();
  for (const subject of content.subjects) found.set(subjectSortKey(subject), subject);
  for (const { principalRef } of content.profiles) {
    if (principalRef === "") continue;
    const subject = subjectOfPrincipal(principalRef);
    if (!found.has(subjectSortKey(subject))) found.set(subjectSortKey(subject), subject);
  }
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, subject]) => subject);
}

function groupsOf(subject: SubjectName | SnapshotSubject): readonly string[] {
  return subject.kind === "Group" ? [] : derivedGroups(principalRefOf(subject));
}

/** Canonical text of rule lists, worked out once per list. */
class RuleTexts {
  readonly #texts = new Map<readonly Rule[], string>();

  of(rules: readonly Rule[]): string {
    let text = this.#texts.get(rules);
    if (text === undefined) {
      text = rulesText(canonicalRules(rules));
      this.#texts.set(rules, text);
    }
    return text;
  }
}

/**
 * Grants by what they say: on a cluster that is as it should be nearly every grant stands on the other side word for word, and only the
 * rest needs a cover test.
 */
class ExactGrants {
  readonly #texts: RuleTexts;
  readonly #held = new Map<string, { cluster: boolean; every: boolean; readonly namespaces: Set<string> }>();

  constructor(grants: readonly PlacedRules[], texts: RuleTexts) {
    this.#texts = texts;
    for (const { scope, namespaces, rules } of grants) {
      const text = texts.of(rules);
      const held = this.#held.get(text) ?? { cluster: false, every: false, namespaces: new Set<string>() };
      this.#held.set(text, held);
      if (scope === "cluster") held.cluster = true;
      else if (namespaces.length === 0) held.every = true;
      else for (const namespace of namespaces) held.namespaces.add(namespace);
    }
  }

  /** The part of a grant that stands here in no such words: nothing, all of it, or some of its namespaces. */
  lacking(grant: PlacedRules): readonly PlacedRules[] {
    const held = this.#held.get(this.#texts.of(grant.rules));
    if (held === undefined) return grant.scope === "namespaced" && grant.namespaces.length === 0 ? [] : [grant];
    if (held.cluster || (held.every && grant.scope === "namespaced")) return [];
    if (grant.scope === "cluster") return [grant];
    const namespaces = grant.namespaces.filter((namespace) => !held.namespaces.has(namespace));
    return namespaces.length === 0 ? [] : [{ ...grant, namespaces }];
  }
}

/** Differences up to the bound, and how many there are. */
class Collected {
  readonly listed: SurfaceDifference[] = [];
  total = 0;

  add(subject: SubjectName, differences: readonly ReachDifference[], binding: string): void {
    for (const { rules, more, ...place } of differences) {
      this.total += rules.length + more;
      for (const rule of rules) {
        if (this.listed.length >= MAX_SURFACE_DIFFERENCES) break;
        this.listed.push({
          subject: clipped(subjectText(subject)),
          where: clipped(placeText(place, MAX_PLACES)),
          rule: clipped(rule),
          binding: clipped(binding),
        });
      }
    }
  }
}

function clipped(text: string): string {
  return text.length <= MAX_TEXT ? text : `${text.slice(0, MAX_TEXT - 1)}…`;
}

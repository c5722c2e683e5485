import { canonicalJson } from "../../base/canonical-json.ts";
import { runningDigest } from "../../base/digest.ts";
import { isJsonObject } from "../../base/json.ts";
import { type SnapshotBinding, type SnapshotCeilings, bindingSortKey, ceilingsToJson } from "../snapshot/content.ts";
import { SNAPSHOT_SCHEMA_VERSION } from "../snapshot/limits.ts";
import { ComputedContent, type SnapshotLifetimes } from "./computed-content.ts";
import { type Contribution, type Grant, type GrantedSubject, SUBJECT_HEAD } from "./contribution.ts";
import type { SharedRuleSet } from "./rule-memo.ts";
import { sortedInSteps } from "./sorted-in-steps.ts";

/** Ceilings that a snapshot carries as signed artifacts (permissions §2.4). */
export interface ClusterCeilings {
  /** `management-maximum`. */
  readonly fleet: SharedRuleSet | undefined;
  /** `cluster-maximum` of the cluster. */
  readonly cluster: SharedRuleSet | undefined;
}

/** A profile by its name, with what it brings. */
export interface Contributor {
  readonly namespace: string;
  readonly name: string;
  readonly contribution: Contribution;
}

/** Profiles or subjects between two yields: some tenths of a millisecond. */
const STEP = 256;
/** Text that is hashed at once: some tenths of a millisecond, too. */
const FULL_CHARACTERS = 128 * 1024;

/** Fewer are joined: no room is made for a small content. */
const FEW_CHARACTERS = 16 * 1024;
/** Room in which texts are encoded, bytes. */
const ROOM_BYTES = 512 * 1024;
/** UTF-8 of a UTF-16 code unit has at most three bytes. */
const MAX_BYTES_PER_UNIT = 3;

const NEXT_SUBJECT = `,${SUBJECT_HEAD}`;

class HeldSubject {
  subject: GrantedSubject;
  readonly grants: Grant[];

  constructor(subject: GrantedSubject, first: Grant) {
    this.subject = subject;
    this.grants = [first];
  }

  add(subject: GrantedSubject, grant: Grant): void {
    this.grants.push(grant);
    // One identity may be two principals; which of them is shown must not hang on the order.
    if (subject.principalRef < this.subject.principalRef) this.subject = subject;
  }
}

/**
 * Joins what profiles bring to one cluster into its content (permissions §8.2 step 5, §8.3). Equal contributions in any order give equal
 * content. Yields between slices of a large one.
 *
 * @param former what was computed for the cluster before; given back when nothing is another
 */
export function* clusterContent(
  cluster: string,
  contributors: Iterable<Contributor>,
  ceilings: ClusterCeilings,
  lifetimes: SnapshotLifetimes,
  former?: ComputedContent,
): Generator<void, ComputedContent> {
  const subjects = new Map<string, HeldSubject>();
  const ruleSets = new Map<string, SharedRuleSet>();
  const profiles: Contributor[] = [];
  const suspended = new Set<string>();
  for (const contributor of contributors) {
    profiles.push(contributor);
    if (profiles.length % STEP === 0) yield;
    take(contributor.contribution, cluster, subjects, ruleSets, suspended);
  }
  for (const ceiling of [ceilings.fleet, ceilings.cluster])
    if (ceiling !== undefined) ruleSets.set(ceiling.id, ceiling);
  const out = new Parts();
  out.push(`{"ceilings":${canonicalJson(ceilingsToJson(idsOf(ceilings)))}`);
  out.push(`,"freshnessWindowSeconds":${lifetimes.freshnessWindowSeconds}`);
  out.push(`,"maxOfflineSeconds":${lifetimes.maxOfflineSeconds}`);
  const records = yield* sortedInSteps(profiles, byName);
  out.push(',"profiles":[');
  let separator = "";
  for (const [i, { contribution }] of records.entries()) {
    if (i % STEP === STEP - 1 || out.isFull) yield out.hash();
    if (contribution.record === undefined) continue;
    if (separator !== "") out.push(separator);
    out.push(contribution.record);
    separator = ",";
  }
  const sets = yield* sortedInSteps([...ruleSets.values()], byId);
  out.push('],"ruleSets":[');
  for (const [i, { text }] of sets.entries()) {
    if (out.isFull) yield out.hash();
    if (i > 0) out.push(",");
    out.push(text);
  }
  out.push(`],"schemaVersion":${SNAPSHOT_SCHEMA_VERSION}`);
  const held = yield* sortedInSteps([...subjects.values()], bySubject);
  out.push(',"subjects":[');
  for (const [i, { subject, grants }] of held.entries()) {
    if (i % STEP === STEP - 1 || out.isFull) yield out.hash();
    out.push(i === 0 ? SUBJECT_HEAD : NEXT_SUBJECT);
    for (const [j, { binding }] of inOrder(grants).entries()) {
      if (j > 0) out.push(",");
      out.push(binding);
    }
    out.push(subject.tail);
  }
  out.push(`],"suspendedPrincipals":${canonicalJson([...suspended].sort())}`);
  out.push(`,"targetCluster":${canonicalJson(cluster)}}`);
  return out.end(cluster, lifetimes, former);
}

function idsOf({ fleet, cluster }: ClusterCeilings): SnapshotCeilings {
  return { ...(fleet !== undefined && { fleet: fleet.id }), ...(cluster !== undefined && { cluster: cluster.id }) };
}

function take(
  { grants, subjects, suspended }: Contribution,
  cluster: string,
  allSubjects: Map<string, HeldSubject>,
  ruleSets: Map<string, SharedRuleSet>,
  allSuspended: Set<string>,
): void {
  for (const principal of suspended) allSuspended.add(principal);
  for (const grant of grants) {
    if (grant.only?.has(cluster) === false) continue;
    ruleSets.set(grant.ruleSet.id, grant.ruleSet);
    for (const subject of subjects) {
      const held = allSubjects.get(subject.key);
      if (held === undefined) allSubjects.set(subject.key, new HeldSubject(subject, grant));
      else held.add(subject, grant);
    }
  }
}

/** Texts of a content as they are pushed, with the digest of what is there so far. */
class Parts {
  readonly #parts: string[] = [];
  readonly #digest = runningDigest();
  #hashed = 0;
  #waiting = 0;
  #bytes = 0;
  #room: Buffer | undefined;

  push(part: string): void {
    this.#parts.push(part);
    this.#waiting += part.length;
  }

  /** True when enough waits for the digest. */
  get isFull(): boolean {
    return this.#waiting >= FULL_CHARACTERS;
  }

  end(cluster: string, lifetimes: SnapshotLifetimes, former: ComputedContent | undefined): ComputedContent {
    this.hash();
    const contentHash = this.#digest.end();
    return former?.contentHash === contentHash
      ? former
      : new ComputedContent(cluster, contentHash, { texts: this.#parts.slice(), byteLength: this.#bytes }, lifetimes);
  }

  /** Takes what was pushed since into the digest. */
  hash(): void {
    if (this.#waiting < FEW_CHARACTERS) this.#take(this.#parts.slice(this.#hashed).join(""));
    else this.#hashWritten();
    this.#hashed = this.#parts.length;
    this.#waiting = 0;
  }

  /** Written one after the other into one buffer: joined to a text that is then encoded, they take twice as long. */
  #hashWritten(): void {
    const room = (this.#room ??= Buffer.allocUnsafeSlow(ROOM_BYTES));
    let at = 0;
    for (let i = this.#hashed; i < this.#parts.length; i++) {
      const part = this.#parts[i] ?? "";
      const most = part.length * MAX_BYTES_PER_UNIT;
      if (most > room.length - at) {
        this.#take(room.subarray(0, at));
        at = 0;
      }
      if (most > room.length) this.#take(part);
      else at += room.write(part, at, "utf8");
    }
    this.#take(room.subarray(0, at));
  }

  #take(data: Uint8Array | string): void {
    this.#bytes += typeof data === "string" ? Buffer.byteLength(data) : data.length;
    this.#digest.update(data);
  }
}

function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function byName(a: Contributor, b: Contributor): number {
  return order(a.namespace, b.namespace) || order(a.name, b.name);
}

function byId(a: SharedRuleSet, b: SharedRuleSet): number {
  return order(a.id, b.id);
}

function bySubject(a: HeldSubject, b: HeldSubject): number {
  return order(a.subject.key, b.subject.key);
}

/** Bindings of a subject in order of `bindingSortKey`, which begins with the rule set: only where that is the same, the rest is read. */
function inOrder(grants: readonly Grant[]): readonly Grant[] {
  if (grants.length === 1) return grants;
  return [...grants].sort((a, b) => order(a.ruleSet.id, b.ruleSet.id) || order(sortKey(a.binding), sortKey(b.binding)));
}

function sortKey(binding: string): string {
  const value: unknown = JSON.parse(binding);
  if (!isJsonObject(value)) throw new Error(`a binding is an object, found ${binding}`);
  const { expiresAt = "", namespaces = [] } = value;
  return bindingSortKey({ ...value, expiresAt, namespaces } as unknown as SnapshotBinding);
}

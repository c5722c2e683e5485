import { combinedResource } from "../../api/rbac/match.ts";
import type { AccessRequest } from "../rules/access-request.ts";
import type { RuleSet, SnapshotBinding, SnapshotContent, SnapshotSubject } from "../snapshot/content.ts";
import { compileIndex } from "./compile.ts";
import {
  ANYWHERE,
  ANY_NAMESPACE,
  type CompiledStrings,
  type CompiledTables,
  SHAPE,
  STAR,
  VERBS_PER_PAGE,
} from "./compiled-tables.ts";
import { EntryTable } from "./entry-table.ts";
import { StringTable } from "./string-table.ts";
import { type UrlTable, urlAllowed } from "./url-table.ts";

/** Outcome of the engine core; the service adds what depends on the snapshot's state and on the caller. */
export type Outcome = "allowed" | "conditional" | "noMatchingRule" | "unknown" | "suspended";

/** Size of an index, for status and metrics. */
export interface IndexSizes {
  readonly subjects: number;
  readonly bindings: number;
  readonly ruleSets: number;
  readonly rules: number;
  readonly entries: number;
  readonly tableBytes: number;
}

/** One binding of one subject, with its rules. */
export interface Grant {
  readonly subject: SnapshotSubject;
  readonly binding: SnapshotBinding;
  readonly ruleSet: RuleSet;
}

const NONE = 0;
const CONDITIONAL = 1;
const ALLOWED = 2;

/**
 * Compiled, immutable snapshot: answers one decision in O(1) expected, independent of the number of principals, bindings and rules
 * . One per snapshot; the store swaps the reference. Holds no clock: time is an argument.
 */
export class PermissionIndex {
  readonly content: SnapshotContent;
  readonly sizes: IndexSizes;
  readonly #tables: CompiledTables;
  readonly #pages: readonly EntryTable[];
  readonly #firstPage: EntryTable;
  readonly #apiGroups: StringTable;
  readonly #resources: StringTable;
  readonly #verbs: StringTable;
  readonly #names: StringTable;
  readonly #namespaces: StringTable;
  readonly #users: StringTable;
  readonly #groups: StringTable;
  readonly #suspended: ReadonlySet<string>;
  readonly #ruleSetNumbers: ReadonlyMap<string, number>;
  // Interned form of the request under decision: one hidden class and no allocation per decision. Decisions never overlap, since
  // they do not await.
  #group = -1;
  #literal = -1;
  #starSub = -1;
  #page = -1;
  #bit = 0;
  #name = STAR;

  /** Over tables and strings that `compileIndex` made for exactly this content, here or in a worker. */
  constructor(content: SnapshotContent, tables: CompiledTables, strings: IndexStrings) {
    this.content = content;
    this.#tables = tables;
    this.#pages = tables.pages.map((data, page) => new EntryTable(data, tables.pageSizes[page] ?? 0));
    this.#firstPage = this.#pages[0] ?? new EntryTable();
    this.#apiGroups = strings.apiGroups;
    this.#resources = strings.resources;
    this.#verbs = strings.verbs;
    this.#names = strings.names;
    this.#namespaces = strings.namespaces;
    this.#users = strings.users;
    this.#groups = strings.groups;
    this.#suspended = new Set(content.suspendedPrincipals);
    this.#ruleSetNumbers = new Map(content.ruleSets.map(({ id }, number) => [id, number]));
    this.sizes = {
      subjects: content.subjects.length,
      bindings: content.subjects.reduce((sum, subject) => sum + subject.bindings.length, 0),
      ruleSets: content.ruleSets.length,
      rules: content.ruleSets.reduce((sum, { rules }) => sum + rules.length, 0),
      entries: this.#pages.reduce((sum, page) => sum + page.size, 0),
      tableBytes: bytesOf(tables),
    };
  }

  /** True when `user` is denied before any rule. */
  isSuspended(user: string): boolean {
    return this.#suspended.has(user);
  }

  /**
   * Decides (permissions §5.6): additive, deny by default. `groups` are taken as they are; deriving implicit ones is the caller's.
   *
   * @param nowMs wall clock, Unix milliseconds: bindings that end are ignored from then on
   */
  decide(user: string, groups: readonly string[], request: AccessRequest, nowMs: number): Outcome {
    if (this.#suspended.size > 0 && this.#suspended.has(user)) return "suspended";
    let namespace = ANYWHERE;
    if (request.form === "resource") {
      namespace = request.namespace === "" ? ANYWHERE : this.#namespaces.find(request.namespace);
      // A namespace that no binding lists is still a namespace: bindings in all namespaces admit it.
      if (namespace < 0 && request.namespace !== "") namespace = UNLISTED_NAMESPACE;
      this.#intern(request.apiGroup, request.resource, request.subresource, request.verb, request.name);
    }
    let known = false;
    let best = NONE;
    const holder = this.#users.find(user);
    if (holder >= 0) {
      known = true;
      best = this.#holder(holder, request, namespace, nowMs);
      if (best === ALLOWED) return "allowed";
    }
    const offset = this.#users.strings.length;
    for (let i = 0; i < groups.length; i++) {
      const group = this.#groups.find(groups[i] ?? "");
      if (group < 0) continue;
      known = true;
      const outcome = this.#holder(offset + group, request, namespace, nowMs);
      if (outcome === ALLOWED) return "allowed";
      if (outcome > best) best = outcome;
    }
    if (best === CONDITIONAL) return "conditional";
    return known ? "noMatchingRule" : "unknown";
  }

  /**
   * Decides for one rule set of the content, scope aside: what the inverse questions are built on.
   *
   * @param ruleSet position in `content.ruleSets`
   */
  decideRuleSet(ruleSet: number, request: AccessRequest): "allowed" | "conditional" | "denied" {
    if (request.form === "resource")
      this.#intern(request.apiGroup, request.resource, request.subresource, request.verb, request.name);
    const outcome = this.#ruleSet(ruleSet, request);
    return outcome === ALLOWED ? "allowed" : outcome === CONDITIONAL ? "conditional" : "denied";
  }

  /** True when the user or one of the groups is a subject of the snapshot. */
  isKnown(user: string, groups: readonly string[]): boolean {
    return this.#users.find(user) >= 0 || groups.some((group) => this.#groups.find(group) >= 0);
  }

  /** Every binding of a user and its groups, ended ones included: the cold path of explanations and lists. */
  *grants(user: string, groups: readonly string[]): Generator<Grant> {
    const offset = this.#users.strings.length;
    const holders = [this.#users.find(user)];
    for (const group of new Set(groups)) {
      const id = this.#groups.find(group);
      if (id >= 0) holders.push(offset + id);
    }
    for (const holder of holders)
      for (const position of this.holderSubjects(holder)) {
        const subject = this.content.subjects[position];
        if (subject === undefined) continue;
        for (const binding of subject.bindings) {
          const ruleSet = this.content.ruleSets[this.#ruleSetNumbers.get(binding.ruleSet) ?? -1];
          if (ruleSet !== undefined) yield { subject, binding, ruleSet };
        }
      }
  }

  /** Positions of the subjects that make up a holder; none for -1. */
  holderSubjects(holder: number): readonly number[] {
    if (holder < 0) return [];
    const { holderSubjectStart, holderSubjects } = this.#tables;
    return [...holderSubjects.subarray(holderSubjectStart[holder] ?? 0, holderSubjectStart[holder + 1] ?? 0)];
  }

  /** Calls `visit` for every binding of a rule set: holder (-1 for one that matches nobody), subject and binding. */
  postings(ruleSet: number, visit: (holder: number, subject: SnapshotSubject, binding: SnapshotBinding) => void): void {
    const { postingStart, postingSubjects, postingBindings, subjectHolder } = this.#tables;
    const end = postingStart[ruleSet + 1] ?? 0;
    for (let i = postingStart[ruleSet] ?? 0; i < end; i++) {
      const position = postingSubjects[i] ?? 0;
      const subject = this.content.subjects[position];
      const binding = subject?.bindings[postingBindings[i] ?? 0];
      if (subject !== undefined && binding !== undefined) visit(subjectHolder[position] ?? -1, subject, binding);
    }
  }

  #intern(apiGroup: string, resource: string, subresource: string, verb: string, name: string): void {
    this.#group = this.#apiGroups.find(apiGroup);
    this.#literal = this.#resources.find(combinedResource(resource, subresource));
    this.#starSub = subresource === "" ? -1 : this.#resources.find(`*/${subresource}`);
    const verbId = this.#verbs.find(verb);
    this.#page = verbId < 0 ? -1 : verbId >>> 6;
    this.#bit = verbId % VERBS_PER_PAGE;
    this.#name = name === "" ? STAR : this.#names.find(name);
  }

  #holder(holder: number, request: AccessRequest, namespace: number, nowMs: number): number {
    const tables = this.#tables;
    let best = this.#bucket(tables.clusterBucket[holder] ?? 0, request);
    if (best === ALLOWED) return ALLOWED;
    if (namespace !== ANYWHERE) {
      const all = this.#bucket(tables.allNamespacesBucket[holder] ?? 0, request);
      if (all === ALLOWED) return ALLOWED;
      if (all > best) best = all;
      if (namespace >= 0) {
        const own = this.#bucket(this.#namespaceBucket(holder, namespace), request);
        if (own === ALLOWED) return ALLOWED;
        if (own > best) best = own;
      }
    }
    const end = tables.expiringStart[holder + 1] ?? 0;
    for (let i = tables.expiringStart[holder] ?? 0; i < end; i++) {
      if ((tables.expiringAtMs[i] ?? 0) <= nowMs) continue;
      const scope = tables.expiringScope[i];
      const admitted =
        scope === ANYWHERE || (namespace !== ANYWHERE && (scope === ANY_NAMESPACE || scope === namespace));
      if (!admitted) continue;
      const outcome = this.#ruleSet(tables.expiringRuleSet[i] ?? 0, request);
      if (outcome === ALLOWED) return ALLOWED;
      if (outcome > best) best = outcome;
    }
    return best;
  }

  #namespaceBucket(holder: number, namespace: number): number {
    const { namespaceStart, namespaceIds, namespaceBuckets } = this.#tables;
    let low = namespaceStart[holder] ?? 0;
    let high = (namespaceStart[holder + 1] ?? 0) - 1;
    while (low <= high) {
      const middle = (low + high) >>> 1;
      const id = namespaceIds[middle] ?? 0;
      if (id === namespace) return namespaceBuckets[middle] ?? 0;
      if (id < namespace) low = middle + 1;
      else high = middle - 1;
    }
    return 0;
  }

  #bucket(bucket: number, request: AccessRequest): number {
    if (bucket === 0) return NONE;
    const { bucketStart, bucketItems } = this.#tables;
    const end = bucketStart[bucket + 1] ?? 0;
    let best = NONE;
    for (let i = bucketStart[bucket] ?? 0; i < end; i++) {
      const outcome = this.#ruleSet(bucketItems[i] ?? 0, request);
      if (outcome === ALLOWED) return ALLOWED;
      if (outcome > best) best = outcome;
    }
    return best;
  }

  #ruleSet(ruleSet: number, request: AccessRequest): number {
    if (request.form === "path") {
      const urls: UrlTable | undefined = this.#tables.urls.get(ruleSet);
      return urls !== undefined && urlAllowed(urls, request.verb, request.path) ? ALLOWED : NONE;
    }
    const shape = this.#tables.shapes[ruleSet] ?? 0;
    let best = NONE;
    let outcome: number;
    if (this.#group > STAR) {
      if ((shape & SHAPE.groupLiteral) !== 0 && this.#literal >= 0) {
        outcome = this.#probe(ruleSet, this.#group, this.#literal);
        if (outcome === ALLOWED) return ALLOWED;
        best = outcome;
      }
      if ((shape & SHAPE.groupStarSub) !== 0 && this.#starSub >= 0) {
        outcome = this.#probe(ruleSet, this.#group, this.#starSub);
        if (outcome === ALLOWED) return ALLOWED;
        if (outcome > best) best = outcome;
      }
      if ((shape & SHAPE.groupStar) !== 0) {
        outcome = this.#probe(ruleSet, this.#group, STAR);
        if (outcome === ALLOWED) return ALLOWED;
        if (outcome > best) best = outcome;
      }
    }
    if ((shape & SHAPE.starLiteral) !== 0 && this.#literal >= 0) {
      outcome = this.#probe(ruleSet, STAR, this.#literal);
      if (outcome === ALLOWED) return ALLOWED;
      if (outcome > best) best = outcome;
    }
    if ((shape & SHAPE.starStarSub) !== 0 && this.#starSub >= 0) {
      outcome = this.#probe(ruleSet, STAR, this.#starSub);
      if (outcome === ALLOWED) return ALLOWED;
      if (outcome > best) best = outcome;
    }
    if ((shape & SHAPE.starStar) !== 0) {
      outcome = this.#probe(ruleSet, STAR, STAR);
      if (outcome > best) best = outcome;
    }
    return best;
  }

  /** One (group, resource): the verb `*` stands on page 0, the request's verb on its own page. */
  #probe(ruleSet: number, group: number, resource: number): number {
    const first = this.#probePage(this.#firstPage, ruleSet, group, resource, this.#page === 0 ? this.#bit : 0);
    if (first === ALLOWED || this.#page <= 0) return first;
    const page = this.#pages[this.#page];
    if (page === undefined) return first;
    return Math.max(first, this.#probePage(page, ruleSet, group, resource, this.#bit, false));
  }

  #probePage(table: EntryTable, ruleSet: number, group: number, resource: number, bit: number, star = true): number {
    const at = table.find(ruleSet, group, resource, STAR);
    if (at < 0) return NONE;
    if ((star && table.granted(at, 0)) || table.granted(at, bit)) return ALLOWED;
    if (!((star && table.named(at, 0)) || table.named(at, bit))) return NONE;
    if (this.#name === STAR) return CONDITIONAL;
    if (this.#name < 0) return NONE;
    const named = table.find(ruleSet, group, resource, this.#name);
    return named >= 0 && ((star && table.granted(named, 0)) || table.granted(named, bit)) ? ALLOWED : NONE;
  }
}

/** A namespace that no binding lists. */
const UNLISTED_NAMESPACE = -3;

function bytesOf(tables: CompiledTables): number {
  let bytes = tables.shapes.byteLength;
  for (const page of tables.pages) bytes += page.byteLength;
  for (const array of [
    tables.bucketStart,
    tables.bucketItems,
    tables.clusterBucket,
    tables.allNamespacesBucket,
    tables.namespaceStart,
    tables.namespaceIds,
    tables.namespaceBuckets,
    tables.expiringStart,
    tables.expiringRuleSet,
    tables.expiringAtMs,
    tables.expiringScope,
    tables.holderSubjectStart,
    tables.holderSubjects,
    tables.subjectHolder,
    tables.postingStart,
    tables.postingSubjects,
    tables.postingBindings,
  ])
    bytes += array.byteLength;
  return bytes;
}

/** Index of content, compiled here and now. Large content belongs into `buildIndex`. */
export function indexOf(content: SnapshotContent): PermissionIndex {
  const { tables, strings } = compileIndex(content);
  return new PermissionIndex(content, tables, tablesOf(strings));
}

/** String tables by name, in the form the index looks them up. */
export type IndexStrings = { readonly [Name in keyof CompiledStrings]: StringTable };

/** Tables over the lists of a compiled index. */
function tablesOf(strings: CompiledStrings): IndexStrings {
  return {
    apiGroups: new StringTable(strings.apiGroups),
    resources: new StringTable(strings.resources),
    verbs: new StringTable(strings.verbs),
    names: new StringTable(strings.names),
    namespaces: new StringTable(strings.namespaces),
    users: new StringTable(strings.users),
    groups: new StringTable(strings.groups),
  };
}

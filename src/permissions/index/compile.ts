import type { SnapshotContent, SnapshotSubject } from "../snapshot/content.ts";
import { principalRefOf } from "../rules/principal.ts";
import type { Rule } from "../rules/rule.ts";
import { expandedEntries } from "../rules/rule-validation.ts";
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
import { type UrlTable, addUrls, newUrlTable } from "./url-table.ts";

/** Verbs with fixed bits; others follow as they come. */
const VERBS = ["*", "get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"];
/** A bucket with more rule sets than this gets one merged set of its own, so that a decision stays O(1). */
const MERGE_ABOVE = 4;
/** Entries that merged sets may add; a bucket beyond it is scanned instead. */
const MERGE_BUDGET_ENTRIES = 1_000_000;

/** What {@link compileIndex} makes. */
export interface CompiledIndex {
  readonly tables: CompiledTables;
  readonly strings: CompiledStrings;
}

class RuleCompiler {
  readonly apiGroups = new StringTable(["*"]);
  readonly resources = new StringTable(["*"]);
  readonly verbs = new StringTable(VERBS);
  readonly names = new StringTable([""]);
  readonly pages: EntryTable[] = [new EntryTable()];
  readonly shapes: number[] = [];
  readonly urls = new Map<number, UrlTable>();

  /** Adds a rule set and returns its number. */
  add(lists: readonly (readonly Rule[])[]): number {
    const ruleSet = this.shapes.length;
    this.shapes.push(0);
    for (const rules of lists) for (const rule of rules) this.#addRule(ruleSet, rule);
    return ruleSet;
  }

  #addRule(ruleSet: number, rule: Rule): void {
    if (rule.nonResourceURLs.length > 0) {
      let table = this.urls.get(ruleSet);
      if (table === undefined) {
        table = newUrlTable();
        this.urls.set(ruleSet, table);
      }
      addUrls(table, rule);
    }
    const verbs = rule.verbs.map((verb) => this.verbs.intern(verb));
    for (const apiGroup of rule.apiGroups) {
      const group = this.apiGroups.intern(apiGroup);
      for (const entry of rule.resources) {
        const resource = this.resources.intern(entry);
        this.shapes[ruleSet] = (this.shapes[ruleSet] ?? 0) | shapeOf(group, entry);
        for (const verb of verbs) this.#addVerb(ruleSet, group, resource, verb, rule.resourceNames);
      }
    }
  }

  #addVerb(ruleSet: number, group: number, resource: number, verb: number, names: readonly string[]): void {
    const page = Math.floor(verb / VERBS_PER_PAGE);
    const bit = verb % VERBS_PER_PAGE;
    while (this.pages.length <= page) this.pages.push(new EntryTable());
    const table = this.pages[page];
    if (table === undefined) return;
    if (names.length === 0) {
      table.add(ruleSet, group, resource, STAR, bit, "granted");
      return;
    }
    table.add(ruleSet, group, resource, STAR, bit, "named");
    for (const name of names)
      if (name !== "") table.add(ruleSet, group, resource, this.names.intern(name), bit, "granted");
  }
}

function shapeOf(group: number, entry: string): number {
  const star = group === STAR;
  if (entry === "*") return star ? SHAPE.starStar : SHAPE.groupStar;
  const literal = star ? SHAPE.starLiteral : SHAPE.groupLiteral;
  // `*/x` is also a literal: it equals the combined name of a resource that is itself called `*`.
  return entry.startsWith("*/") ? literal | (star ? SHAPE.starStarSub : SHAPE.groupStarSub) : literal;
}

/** Rule sets in lists that many holders share; equal lists are one bucket. */
class BucketCompiler {
  readonly start: number[] = [0, 0];
  readonly items: number[] = [];
  readonly #byKey = new Map<string, number>();
  readonly #compiler: RuleCompiler;
  readonly #rulesOf: readonly (readonly Rule[])[];
  readonly #entriesOf: readonly number[];
  #budget = MERGE_BUDGET_ENTRIES;

  constructor(compiler: RuleCompiler, rulesOf: readonly (readonly Rule[])[]) {
    this.#compiler = compiler;
    this.#rulesOf = rulesOf;
    this.#entriesOf = rulesOf.map((rules) => rules.reduce((sum, rule) => sum + expandedEntries(rule), 0));
  }

  bucketOf(ruleSets: ReadonlySet<number> | undefined): number {
    if (ruleSets === undefined || ruleSets.size === 0) return 0;
    const sorted = [...ruleSets].sort((a, b) => a - b);
    const key = sorted.join(",");
    const known = this.#byKey.get(key);
    if (known !== undefined) return known;
    const bucket = this.start.length - 1;
    this.items.push(...this.#merged(sorted));
    this.start.push(this.items.length);
    this.#byKey.set(key, bucket);
    return bucket;
  }

  #merged(sorted: readonly number[]): readonly number[] {
    if (sorted.length <= MERGE_ABOVE) return sorted;
    const entries = sorted.reduce((sum, ruleSet) => sum + (this.#entriesOf[ruleSet] ?? 0), 0);
    if (entries > this.#budget) return sorted;
    this.#budget -= entries;
    return [this.#compiler.add(sorted.map((ruleSet) => this.#rulesOf[ruleSet] ?? []))];
  }
}

interface Expiring {
  readonly ruleSet: number;
  readonly atMs: number;
  readonly scope: number;
}

/** Grants of one user name or group, of all its subjects. */
interface Holder {
  readonly id: number;
  readonly subjects: number[];
  readonly cluster: Set<number>;
  readonly allNamespaces: Set<number>;
  readonly byNamespace: Map<number, Set<number>>;
  readonly expiring: Expiring[];
}

function addSubject(
  holder: Holder,
  subject: SnapshotSubject,
  ruleSets: ReadonlyMap<string, number>,
  namespaces: StringTable,
): void {
  for (const binding of subject.bindings) {
    const ruleSet = ruleSets.get(binding.ruleSet);
    if (ruleSet === undefined) continue; // the parser refuses such content; nothing is granted either way
    const scopes =
      binding.scope === "cluster"
        ? [ANYWHERE]
        : binding.namespaces.length === 0
          ? [ANY_NAMESPACE]
          : binding.namespaces.map((namespace) => namespaces.intern(namespace));
    for (const scope of scopes) {
      if (binding.expiresAt !== "") {
        const at = Date.parse(binding.expiresAt);
        holder.expiring.push({ ruleSet, atMs: Number.isNaN(at) ? 0 : at, scope });
      } else if (scope === ANYWHERE) holder.cluster.add(ruleSet);
      else if (scope === ANY_NAMESPACE) holder.allNamespaces.add(ruleSet);
      else {
        let held = holder.byNamespace.get(scope);
        if (held === undefined) {
          held = new Set();
          holder.byNamespace.set(scope, held);
        }
        held.add(ruleSet);
      }
    }
  }
}

/**
 * Compiles content into tables: principal to rule sets by scope, rule set and (group, resource, name) to verbs. Pure; linear in
 * subjects, bindings and expanded entries.
 */
export function compileIndex(content: SnapshotContent): CompiledIndex {
  const compiler = new RuleCompiler();
  const ruleSets = new Map(content.ruleSets.map(({ id, rules }) => [id, compiler.add([rules])]));
  const buckets = new BucketCompiler(
    compiler,
    content.ruleSets.map(({ rules }) => rules),
  );
  const namespaces = new StringTable();
  const users = new Map<string, Holder>();
  const groups = new Map<string, Holder>();
  const subjectHolder: (Holder | undefined)[] = [];
  for (const [position, subject] of content.subjects.entries()) {
    subjectHolder.push(undefined);
    if (subject.kind === "ServiceAccount" && subject.namespace === "") continue; // never matches anybody (permissions §5.5)
    const holders = subject.kind === "Group" ? groups : users;
    const key = principalRefOf(subject);
    let holder = holders.get(key);
    if (holder === undefined) {
      holder = {
        id: holders.size,
        subjects: [],
        cluster: new Set(),
        allNamespaces: new Set(),
        byNamespace: new Map(),
        expiring: [],
      };
      holders.set(key, holder);
    }
    holder.subjects.push(position);
    subjectHolder[position] = holder;
    addSubject(holder, subject, ruleSets, namespaces);
  }
  const tables = holderTables([...users.values(), ...groups.values()], buckets);
  return {
    tables: {
      ...tables,
      ...postings(content, ruleSets),
      subjectHolder: Int32Array.from(content.subjects, ({ kind }, position) => {
        const holder = subjectHolder[position];
        if (holder === undefined) return -1;
        return kind === "Group" ? users.size + holder.id : holder.id;
      }),
      pages: compiler.pages.map((page) => page.data),
      pageSizes: compiler.pages.map((page) => page.size),
      shapes: Uint8Array.from(compiler.shapes),
      urls: compiler.urls,
      bucketStart: Int32Array.from(buckets.start),
      bucketItems: Int32Array.from(buckets.items),
    },
    strings: {
      apiGroups: compiler.apiGroups.strings,
      resources: compiler.resources.strings,
      verbs: compiler.verbs.strings,
      names: compiler.names.strings,
      namespaces: namespaces.strings,
      users: [...users.keys()],
      groups: [...groups.keys()],
    },
  };
}

type PostingTables = Pick<CompiledTables, "postingStart" | "postingSubjects" | "postingBindings">;

/** Inverse of the bindings: rule set to who has it (permissions §17). */
function postings(content: SnapshotContent, ruleSets: ReadonlyMap<string, number>): PostingTables {
  const counts = new Int32Array(content.ruleSets.length + 1);
  for (const { bindings } of content.subjects)
    for (const { ruleSet } of bindings) {
      const at = (ruleSets.get(ruleSet) ?? content.ruleSets.length) + 1;
      if (at < counts.length) counts[at] = (counts[at] ?? 0) + 1;
    }
  for (let i = 1; i < counts.length; i++) counts[i] = (counts[i] ?? 0) + (counts[i - 1] ?? 0);
  const postingStart = Int32Array.from(counts);
  const total = counts.at(-1) ?? 0;
  const postingSubjects = new Int32Array(total);
  const postingBindings = new Int32Array(total);
  for (const [subject, { bindings }] of content.subjects.entries())
    for (const [position, { ruleSet }] of bindings.entries()) {
      const number = ruleSets.get(ruleSet);
      if (number === undefined) continue;
      const at = counts[number] ?? 0;
      counts[number] = at + 1;
      postingSubjects[at] = subject;
      postingBindings[at] = position;
    }
  return { postingStart, postingSubjects, postingBindings };
}

type HolderTables = Omit<
  CompiledTables,
  "pages" | "pageSizes" | "shapes" | "urls" | "bucketStart" | "bucketItems" | "subjectHolder" | keyof PostingTables
>;

function holderTables(holders: readonly Holder[], buckets: BucketCompiler): HolderTables {
  const holderSubjectStart = [0];
  const holderSubjects: number[] = [];
  const namespaceStart = [0];
  const namespaceIds: number[] = [];
  const namespaceBuckets: number[] = [];
  const expiringStart = [0];
  const expiring: Expiring[] = [];
  for (const holder of holders) {
    for (const [id, held] of [...holder.byNamespace].sort(([a], [b]) => a - b)) {
      namespaceIds.push(id);
      namespaceBuckets.push(buckets.bucketOf(held));
    }
    namespaceStart.push(namespaceIds.length);
    for (const entry of holder.expiring) expiring.push(entry);
    expiringStart.push(expiring.length);
    for (const subject of holder.subjects) holderSubjects.push(subject);
    holderSubjectStart.push(holderSubjects.length);
  }
  return {
    clusterBucket: Int32Array.from(holders, (holder) => buckets.bucketOf(holder.cluster)),
    allNamespacesBucket: Int32Array.from(holders, (holder) => buckets.bucketOf(holder.allNamespaces)),
    holderSubjectStart: Int32Array.from(holderSubjectStart),
    holderSubjects: Int32Array.from(holderSubjects),
    namespaceStart: Int32Array.from(namespaceStart),
    namespaceIds: Int32Array.from(namespaceIds),
    namespaceBuckets: Int32Array.from(namespaceBuckets),
    expiringStart: Int32Array.from(expiringStart),
    expiringRuleSet: Int32Array.from(expiring, ({ ruleSet }) => ruleSet),
    expiringAtMs: Float64Array.from(expiring, ({ atMs }) => atMs),
    expiringScope: Int32Array.from(expiring, ({ scope }) => scope),
  };
}

import { SeededRandom } from "../../src/base/random.ts";
import { type PermissionIndex, indexOf } from "../../src/permissions/index/permission-index.ts";
import type { SnapshotContent } from "../../src/permissions/snapshot/content.ts";
import { type ScanOutcome, scanDecision } from "./permission-scan.ts";
import { type RandomQuestion, WORLD_NOW_MS, randomQuestion, randomWorld } from "./permission-worlds.ts";

/** What a run asked. */
export interface DifferentialCounts {
  readonly worlds: number;
  readonly decisions: number;
  readonly outcomes: ReadonlyMap<ScanOutcome, number>;
}

/**
 * Puts random questions about random worlds to the compiled index and to the naive scan.
 *
 * @throws Error at the first difference, with the seed and the smallest world and question that still differ
 */
export function compareWithScan(seed: number, worlds: number, questionsPerWorld: number): DifferentialCounts {
  const random = new SeededRandom(seed);
  const outcomes = new Map<ScanOutcome, number>();
  for (let world = 0; world < worlds; world++) {
    const content = randomWorld(random);
    const index = indexOf(content);
    for (let i = 0; i < questionsPerWorld; i++) {
      const question = randomQuestion(random);
      const expected = decidedByScan(content, question);
      outcomes.set(expected, (outcomes.get(expected) ?? 0) + 1);
      if (decidedByIndex(index, question) !== expected) throw new Error(differenceText(seed, world, content, question));
    }
  }
  return { worlds, decisions: worlds * questionsPerWorld, outcomes };
}

function decidedByScan(content: SnapshotContent, { user, groups, request }: RandomQuestion): ScanOutcome {
  return scanDecision(content, user, groups, request, WORLD_NOW_MS);
}

function decidedByIndex(index: PermissionIndex, { user, groups, request }: RandomQuestion): ScanOutcome {
  return index.decide(user, groups, request, WORLD_NOW_MS);
}

function differs(content: SnapshotContent, question: RandomQuestion): boolean {
  return decidedByIndex(indexOf(content), question) !== decidedByScan(content, question);
}

function differenceText(seed: number, world: number, content: SnapshotContent, question: RandomQuestion): string {
  const small = shrunk(content, (smaller) => differs(smaller, question));
  return [
    `seed ${seed}, world ${world}: the scan says ${decidedByScan(small, question)}, the index ${decidedByIndex(indexOf(small), question)}`,
    "Keep this as a case in test/oracle/found-differences.ts:",
    JSON.stringify({ content: small, question }),
  ].join("\n");
}

/** The content without everything that is not needed for `fails` to stay true: subjects, bindings, rule sets and rules. */
export function shrunk(content: SnapshotContent, fails: (content: SnapshotContent) => boolean): SnapshotContent {
  let small = content;
  for (let again = true; again;) {
    again = false;
    for (const smaller of smallerThan(small)) {
      if (!fails(smaller)) continue;
      small = smaller;
      again = true;
      break;
    }
  }
  return small;
}

function* smallerThan(content: SnapshotContent): Generator<SnapshotContent> {
  const { subjects, ruleSets, suspendedPrincipals } = content;
  if (suspendedPrincipals.length > 0) yield { ...content, suspendedPrincipals: [] };
  for (let i = 0; i < subjects.length; i++) yield { ...content, subjects: without(subjects, i) };
  for (const [i, subject] of subjects.entries())
    for (let b = 0; b < subject.bindings.length; b++) {
      const fewer = { ...subject, bindings: without(subject.bindings, b) };
      yield { ...content, subjects: subjects.map((held, at) => (at === i ? fewer : held)) };
    }
  const used = new Set(subjects.flatMap(({ bindings }) => bindings.map(({ ruleSet }) => ruleSet)));
  if (ruleSets.some(({ id }) => !used.has(id)))
    yield { ...content, ruleSets: ruleSets.filter(({ id }) => used.has(id)) };
  for (const [i, set] of ruleSets.entries())
    for (let r = 0; r < set.rules.length; r++) {
      // The id no longer names its rules; neither side looks at that.
      const fewer = { ...set, rules: without(set.rules, r) };
      yield { ...content, ruleSets: ruleSets.map((held, at) => (at === i ? fewer : held)) };
    }
}

function without<T>(list: readonly T[], at: number): readonly T[] {
  return list.filter((_, i) => i !== at);
}

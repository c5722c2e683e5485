import { SeededRandom } from "../../src/base/random.ts";
import { indexOf } from "../../src/permissions/index/permission-index.ts";
import { scanDecision } from "../../test/oracle/permission-scan.ts";
import { median } from "../report/statistics.ts";
import { caslAbility, caslDecides } from "./casl.ts";
import { benchQuestions, benchWorld } from "./world.ts";

/** Decisions in process. */
export interface DecisionFigures {
  readonly indexPerSecond: number;
  readonly scanPerSecond: number;
  /** CASL with a ready ability for each person; see `casl.ts`. */
  readonly caslPerSecond: number;
  /** Of one process's questions, how many were allowed. */
  readonly allowedShare: number;
  /** Growth of heap and buffers by the index and the content it holds, bytes; after garbage collection. */
  readonly indexBytes: number;
  readonly tableBytes: number;
  readonly entries: number;
}

const QUESTIONS = 20_000;
const SCANS = 200;
/** People with an ability of their own, and how often each asks its question. */
const CASL_PEOPLE = 1_000;
const CASL_ROUNDS = 10;

function perSecond(count: number, work: () => void): number {
  const started = performance.now();
  work();
  return (count * 1000) / (performance.now() - started);
}

function heldBytes(): number {
  globalThis.gc?.();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** The compiled index beside the naive scan: the same world, the same questions, in turns. */
export function decisionsBench(runs: number): DecisionFigures {
  const random = new SeededRandom(1);
  const world = benchWorld(random);
  const questions = benchQuestions(random, QUESTIONS);
  const before = heldBytes();
  const index = indexOf(world);
  const indexBytes = heldBytes() - before;
  const people = questions.slice(0, CASL_PEOPLE);
  const abilities = people.map(({ user, groups }) => caslAbility(world, user, groups));
  for (const [i, question] of people.entries()) {
    const ours = index.decide(question.user, question.groups, question.request, 0) === "allowed";
    const ability = abilities[i];
    if (ability === undefined || caslDecides(ability, question) !== ours)
      throw new Error(`CASL decides otherwise: ${JSON.stringify(question)}`);
  }
  const casl: number[] = [];
  const indexed: number[] = [];
  const scanned: number[] = [];
  let allowed = 0;
  for (let run = 0; run <= runs; run++) {
    const few = questions.slice(0, SCANS);
    const slow = perSecond(few.length, () => {
      for (const { user, groups, request } of few) scanDecision(world, user, groups, request, 0);
    });
    const peer = perSecond(people.length * CASL_ROUNDS, () => {
      for (let round = 0; round < CASL_ROUNDS; round++)
        for (const [i, question] of people.entries()) {
          const ability = abilities[i];
          if (ability !== undefined) caslDecides(ability, question);
        }
    });
    allowed = 0;
    const fast = perSecond(questions.length, () => {
      for (const { user, groups, request } of questions)
        if (index.decide(user, groups, request, 0) === "allowed") allowed++;
    });
    if (run === 0) continue; // warm-up
    casl.push(peer);
    indexed.push(fast);
    scanned.push(slow);
  }
  return {
    indexPerSecond: median(indexed),
    scanPerSecond: median(scanned),
    caslPerSecond: median(casl),
    allowedShare: allowed / questions.length,
    indexBytes,
    tableBytes: index.sizes.tableBytes,
    entries: index.sizes.entries,
  };
}

import { parseArgs } from "node:util";
import type { Bench } from "../bench.ts";
import { table } from "../report/table.ts";
import { type ActivationFigures, activationBench } from "./activation.ts";
import { type CallFigures, IN_FLIGHT, callsBench } from "./calls.ts";
import { type DecisionFigures, decisionsBench } from "./decisions.ts";
import { type LargeTenantFigures, largeTenantBench } from "./large-tenant.ts";
import { type RecomputeFigures, recomputeBench } from "./recompute.ts";
import { type RestartFigures, restartBench } from "./restart.ts";
import { type RevocationFigures, revocationBench } from "./revocation.ts";
import { BENCH_BINDINGS, BENCH_ROLES } from "./world.ts";

/** Options of {@link permissionsBench}. */
export interface PermissionsBenchOptions {
  readonly json: boolean;
  /** Repetitions of every figure; the median is printed. */
  readonly runs: number;
  /** Unary calls per run. */
  readonly calls: number;
  /** Size of the fleet whose graph is computed. */
  readonly clusters: number;
  readonly profilesPerCluster: number;
  /** Parts to run; empty means all. */
  readonly only: readonly string[];
}

const MIB = 1024 * 1024;
const count = (value: number): string => Math.round(value).toLocaleString("en");

function decisionTable(figures: DecisionFigures): string {
  const { indexPerSecond, scanPerSecond, caslPerSecond, indexBytes, tableBytes, entries, allowedShare } = figures;
  return [
    table(
      ["", "per second", "ratio"],
      [
        ["naive scan", count(scanPerSecond), "1.00"],
        ["CASL, a ready ability per person", count(caslPerSecond), (caslPerSecond / scanPerSecond).toFixed(2)],
        ["compiled index", count(indexPerSecond), (indexPerSecond / scanPerSecond).toFixed(2)],
      ],
    ),
    `index ${(indexBytes / MIB).toFixed(1)} MiB with its strings, tables ${(tableBytes / MIB).toFixed(1)} MiB of ${count(entries)} entries; ${Math.round(allowedShare * 100)} % of the questions are allowed`,
  ].join("\n");
}

function callTable(figures: readonly CallFigures[]): string {
  return table(
    ["", "per second", "p50 ms", "p99 ms", "server µs/call", "ratio", "server ratio"],
    figures.map((figure) => [
      figure.what,
      count(figure.perSecond),
      figure.p50Ms.toFixed(1),
      figure.p99Ms.toFixed(1),
      figure.serverMicros.toFixed(1),
      figure.ratio.toFixed(2),
      figure.serverRatio.toFixed(2),
    ]),
  );
}

function activationTable(figures: ActivationFigures): string {
  const { bindings, contentBytes, activationMs, answered, failed } = figures;
  const { loopP99Ms, loopMaxMs, idleLoopP99Ms, idleLoopMaxMs } = figures;
  return [
    table(
      ["event loop delay, ms", "p99", "max"],
      [
        ["under calls alone", idleLoopP99Ms.toFixed(1), idleLoopMaxMs.toFixed(1)],
        ["under calls and activations", loopP99Ms.toFixed(1), loopMaxMs.toFixed(1)],
      ],
    ),
    `${count(bindings)} bindings, ${(contentBytes / MIB).toFixed(1)} MiB: ${count(activationMs)} ms from the offer to the swap; ${count(answered)} calls answered meanwhile, ${failed} failed`,
  ].join("\n");
}

function recomputeTable(figures: RecomputeFigures): string {
  const { full, rows, graphBytes, clusters, profilesPerCluster } = figures;
  const { loopP99Ms, loopMaxMs, idleLoopP99Ms, idleLoopMaxMs } = figures;
  const total = count(clusters * profilesPerCluster);
  return [
    table(
      [
        `${count(clusters)} clusters x ${count(profilesPerCluster)} profiles`,
        "ms",
        "processor ms",
        "profiles",
        "clusters",
        "longest step ms",
      ],
      [full, ...rows].map((row) => [
        row.what,
        row.ms.toFixed(1),
        row.processorMs.toFixed(1),
        count(row.profiles),
        count(row.clusters),
        row.longestStepMs.toFixed(1),
      ]),
    ),
    `${total} profiles; the graph holds ${(graphBytes / MIB).toFixed(0)} MiB`,
    `event loop while everything is looked at again in slices: p99 ${loopP99Ms.toFixed(1)} ms, max ${loopMaxMs.toFixed(1)} ms; at rest ${idleLoopP99Ms.toFixed(1)}, ${idleLoopMaxMs.toFixed(1)} ms`,
  ].join("\n");
}

function largeTenantTable(figures: LargeTenantFigures): string {
  const mib = (bytes: number): string => `${(bytes / MIB).toFixed(1)} MiB`;
  const ms = (value: number): string => `${value.toFixed(1)} ms`;
  return table(
    ["", "ours", "goal"],
    [
      ["everything, from nothing", ms(figures.coldMs), "< 5,000 ms"],
      ["the same, processor time", ms(figures.coldProcessorMs), ""],
      ["longest step of it, processor time", ms(figures.coldLongestStepMs), ""],
      ["one profile changed, to its content", ms(figures.oneMs), ""],
      ["one profile changed, to signed chunks", ms(figures.oneSignedMs), "< 50 ms"],
      ["the same, processor time", ms(figures.oneSignedProcessorMs), ""],
      ["longest step of it, processor time", ms(figures.longestStepMs), "< 10 ms"],
      ["graph", mib(figures.graphBytes), ""],
      ["content", mib(figures.contentBytes), "<= 64 MiB"],
      [`index of ${count(figures.entries)} entries, tables`, mib(figures.tableBytes), "<= 64 MiB"],
      [`tables at the limit of ${count(figures.limitEntries)} entries`, mib(figures.limitTableBytes), "<= 512 MiB"],
      ["check, p50", `${figures.checkP50Micros.toFixed(1)} µs`, "< 2 µs"],
      ["check, p99", `${figures.checkP99Micros.toFixed(1)} µs`, "< 20 µs"],
      ["1,000 checks", ms(figures.batchMs), "< 5 ms"],
      [`who can, ${count(figures.whoCanResults)} results`, ms(figures.whoCanMs), "< 20 ms"],
      ["its longest slice", ms(figures.whoCanLongestMs), "< 10 ms"],
    ],
  );
}

function restartTable({ answerMs, nodeMs, answerCpuMs, nodeCpuMs }: RestartFigures): string {
  return table(
    ["", "ms", "processor ms"],
    [
      ["an empty Node process", count(nodeMs), count(nodeCpuMs)],
      ["tenant, first right answer", count(answerMs), count(answerCpuMs)],
    ],
  );
}

function revocationTable(figures: RevocationFigures): string {
  const { tenants, samples, question, push, grant, deletion } = figures;
  const row = (what: string, { p50Ms, p95Ms }: RevocationFigures["push"]): readonly string[] => [
    what,
    p50Ms.toFixed(0),
    p95Ms.toFixed(0),
    (p50Ms / push.p50Ms).toFixed(2),
  ];
  return [
    table(
      ["", "p50 ms", "p95 ms", "ratio"],
      [
        row("one question to a tenant", question),
        row("a revocation pushed, nothing to compute", push),
        row("profile created, until it is allowed", grant),
        row("profile deleted, until it is denied", deletion),
      ],
    ),
    `${tenants} tenants, ${samples} times each`,
  ].join("\n");
}

/** Everything that is claimed about decisions, each part beside its floor of the same run. */
async function permissionsBench(options: PermissionsBenchOptions): Promise<void> {
  const { runs, calls, clusters, profilesPerCluster } = options;
  const parts: readonly Part[] = [
    part(
      "decisions",
      `${BENCH_ROLES} roles, ${BENCH_BINDINGS} bindings, in process`,
      () => decisionsBench(runs),
      decisionTable,
    ),
    part(
      "calls",
      `over mTLS 1.3, ${IN_FLIGHT} in flight, client in another process`,
      () => callsBench(runs, calls),
      callTable,
    ),
    part("activation", "a new snapshot becomes active under calls", () => activationBench(runs), activationTable),
    part(
      "recompute",
      "effective permission graph, single changes beside the whole",
      () => recomputeBench(runs, clusters, profilesPerCluster),
      recomputeTable,
    ),
    part(
      "large-tenant",
      "one tenant of 10,000 principals x 1,000 rules (permissions §17), in process",
      () => largeTenantBench(runs),
      largeTenantTable,
    ),
    part("restart", "start of a tenant whose hub is away", () => restartBench(runs), restartTable),
    part(
      "revocation",
      "from a decision to its effect on tenants, all processes",
      () => revocationBench(runs),
      revocationTable,
    ),
  ];
  const figures: Record<string, unknown> = {};
  for (const { name, title, run } of parts) {
    if (options.only.length > 0 && !options.only.includes(name)) continue;
    const { result, text } = await run();
    figures[name] = result;
    if (!options.json) process.stdout.write(`${title}\n${text}\n\n`);
  }
  if (options.json) process.stdout.write(`${JSON.stringify(figures, undefined, 2)}\n`);
}

interface Part {
  readonly name: string;
  readonly title: string;
  readonly run: () => Promise<{ readonly result: unknown; readonly text: string }>;
}

function part<T>(name: string, title: string, work: () => T | Promise<T>, print: (result: T) => string): Part {
  return {
    name,
    title,
    run: async () => {
      const result = await work();
      return { result, text: print(result) };
    },
  };
}

/** The bench as `bench/main.ts` runs it. */
export const permissions: Bench = {
  name: "permissions",
  summary: "decisions beside the naive scan, PermissionService beside an empty call",
  usage:
    "usage: node bench/main.ts permissions [--only decisions,calls,activation,recompute,large-tenant,restart] [--runs 7] [--calls 10000] [--clusters 1000] [--profiles 200] [--json]\n",
  async run(args) {
    const { values } = parseArgs({
      args: [...args],
      options: {
        json: { type: "boolean", default: false },
        runs: { type: "string", default: "7" },
        calls: { type: "string", default: "10000" },
        clusters: { type: "string", default: "1000" },
        profiles: { type: "string", default: "200" },
        only: { type: "string", default: "" },
      },
    });
    await permissionsBench({
      json: values.json,
      runs: Number(values.runs),
      calls: Number(values.calls),
      clusters: Number(values.clusters),
      profilesPerCluster: Number(values.profiles),
      only: values.only.split(",").filter(Boolean),
    });
  },
};

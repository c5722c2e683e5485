import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { NO_POSTGRES, PostgresServer, postgresPrograms } from "../../test/support/postgres-server.ts";
import type { Bench } from "../bench.ts";
import { table } from "../report/table.ts";
import { agentLogBench } from "./agent-log.ts";
import { type ChannelFigures, type ChannelOptions, channelBench } from "./channel.ts";
import { type CheckFigures, checksBench } from "./checks.ts";
import { postgresRowsBench } from "./postgres-rows.ts";

const count = (value: number): string => Math.round(value).toLocaleString("en");

interface AuditBenchOptions {
  readonly json: boolean;
  readonly runs: number;
  readonly events: number;
  readonly agents: number;
  /** Parts to run; empty means all. */
  readonly only: readonly string[];
}

function channelTable(figures: readonly ChannelFigures[]): string {
  return table(
    ["", "drained/s", "live/s", "hub µs", "agents µs", "ratio"],
    figures.map(({ what, drainPerSecond, livePerSecond, hubMicros, agentMicros, ratio }) => [
      what,
      count(drainPerSecond),
      count(livePerSecond),
      hubMicros.toFixed(1),
      agentMicros.toFixed(1),
      ratio.toFixed(2),
    ]),
  );
}

function checksTable({ offPerSecond, onPerSecond, ratio, logged, denies }: CheckFigures): string {
  return [
    table(
      ["", "checks/s", "ratio"],
      [
        ["audit off", count(offPerSecond), "1.00"],
        ["audit on", count(onPerSecond), ratio.toFixed(2)],
      ],
    ),
    `${count(denies)} denies, ${count(logged)} of them in the log`,
  ].join("\n");
}

async function auditBench(options: AuditBenchOptions): Promise<void> {
  const { runs, events, agents, json, only } = options;
  const wanted = (name: string): boolean => only.length === 0 || only.includes(name);
  const figures: Record<string, unknown> = {};
  const show = (name: string, title: string, result: unknown, text: string): void => {
    figures[name] = result;
    if (!json) process.stdout.write(`${title}\n${text}\n\n`);
  };
  const directory = await mkdtemp(join(tmpdir(), "bench-audit-sinks-"));
  const server = postgresPrograms() === undefined ? undefined : await PostgresServer.start(POSTGRES);
  if (server === undefined) process.stderr.write(`${NO_POSTGRES}\n`);
  try {
    if (wanted("channel")) {
      let sinks = 0;
      const all: ChannelOptions["sinks"] = [
        { what: "hub that keeps nothing", open: async () => "none" },
        { what: "SQLite", open: async () => ({ store: "sqlite", directory: join(directory, String(++sinks)) }) },
      ];
      const postgres: ChannelOptions["sinks"] =
        server === undefined
          ? []
          : [
              {
                what: "PostgreSQL",
                open: async () => ({
                  store: "postgres",
                  target: await server.database(`channel${++sinks}`),
                  connections: 4,
                }),
              },
            ];
      const result = await channelBench({ agents, events, runs, sinks: [...all, ...postgres] });
      const title = `${agents} agents with their logs on disk, to durable in the hub's sink, ${events} events a run`;
      show("channel", title, result, channelTable(result));
    }
    if (wanted("log")) {
      const result = await agentLogBench(runs, Math.ceil(events / 2));
      const rows = result.map(({ what, inFlight, perSecond, ratio }) => [
        what,
        count(inFlight),
        count(perSecond),
        ratio.toFixed(2),
      ]);
      show(
        "log",
        "the agent's log alone, events/s to durable",
        result,
        table(["", "in flight", "per second", "ratio"], rows),
      );
    }
    if (server !== undefined && wanted("postgres")) {
      const result = await postgresRowsBench(server, runs, Math.ceil(events / 2));
      const rows = result.map(({ what, perSecond, ratio }) => [what, count(perSecond), ratio.toFixed(2)]);
      show(
        "postgres",
        "PostgreSQL alone, events/s, same server and indexes",
        result,
        table(["", "per second", "ratio"], rows),
      );
    }
    if (wanted("checks")) {
      const result = await checksBench(runs);
      show("checks", "CheckPermission over mTLS, 64 in flight, half of them denied", result, checksTable(result));
    }
  } finally {
    await server?.close();
    await rm(directory, { recursive: true });
  }
  if (json) process.stdout.write(`${JSON.stringify(figures, undefined, 2)}\n`);
}

/** A server as an operator runs it: durable, and with a log large enough that a run is not a checkpoint. */
const POSTGRES = { settings: { shared_buffers: "'256MB'", max_wal_size: "'4GB'" } };

/** The bench as `bench/main.ts` runs it. */
export const audit: Bench = {
  name: "audit",
  summary: "audit events from agents to a durable sink, beside a hub that keeps nothing, plain files, raw COPY",
  usage:
    "usage: node bench/main.ts audit [--only channel,log,postgres,checks] [--agents 8] [--events 80000] [--runs 3] [--json]\n",
  async run(args) {
    const { values } = parseArgs({
      args: [...args],
      options: {
        json: { type: "boolean", default: false },
        runs: { type: "string", default: "3" },
        events: { type: "string", default: "80000" },
        agents: { type: "string", default: "8" },
        only: { type: "string", default: "" },
      },
    });
    await auditBench({
      json: values.json,
      runs: Number(values.runs),
      events: Number(values.events),
      agents: Number(values.agents),
      only: values.only.split(",").filter(Boolean),
    });
  },
};

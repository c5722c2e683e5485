import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AuditSinkSettings } from "../../src/federation/audit/open-audit-sink.ts";
import { Child } from "../federation/child.ts";
import { issueMaterial } from "../federation/material.ts";
import { median } from "../report/statistics.ts";
import type { AuditAnswer, AuditCommand } from "./protocol.ts";

/** Agents to a durable sink, over the whole channel. */
export interface ChannelFigures {
  readonly what: string;
  /** Events a second from a backlog in the agents' logs to "durable". */
  readonly drainPerSecond: number;
  /** Events a second from `audit()` at connected agents to "durable". */
  readonly livePerSecond: number;
  /** Processor time of the hub's process an event, microseconds, while the backlog was drained. */
  readonly hubMicros: number;
  readonly agentMicros: number;
  /** Drained events a second against the hub that keeps nothing. */
  readonly ratio: number;
}

/** Options of {@link channelBench}. */
export interface ChannelOptions {
  readonly agents: number;
  /** Events of a run, over all agents. */
  readonly events: number;
  readonly runs: number;
  /** Makes a new, empty sink for each run; `none`: the hub keeps nothing. */
  readonly sinks: readonly { readonly what: string; open(): Promise<AuditSinkSettings | "none"> }[];
}

interface Round {
  readonly drain: number;
  readonly live: number;
  readonly hubMicros: number;
  readonly agentMicros: number;
}

/** Real outboxes on disk, real sessions over mutual TLS, real sinks: hub and agents are processes of their own. */
export async function channelBench(options: ChannelOptions): Promise<readonly ChannelFigures[]> {
  const rounds = options.sinks.map((): Round[] => []);
  for (let run = 0; run < options.runs; run++)
    for (const [at, { open }] of options.sinks.entries()) rounds[at]?.push(await oneRun(options, await open()));
  const floor = rounds[0] ?? [];
  return options.sinks.map(({ what }, at) => {
    const mine = rounds[at] ?? [];
    return {
      what,
      drainPerSecond: median(mine.map(({ drain }) => drain)),
      livePerSecond: median(mine.map(({ live }) => live)),
      hubMicros: median(mine.map(({ hubMicros }) => hubMicros)),
      agentMicros: median(mine.map(({ agentMicros }) => agentMicros)),
      ratio: median(mine.map(({ drain }, run) => drain / (floor[run]?.drain ?? Number.NaN))),
    };
  });
}

async function oneRun(options: ChannelOptions, sink: AuditSinkSettings | "none"): Promise<Round> {
  const { agents: count, events } = options;
  const each = Math.floor(events / count);
  const directory = await mkdtemp(join(tmpdir(), "bench-audit-"));
  const material = await issueMaterial(count);
  const hub = new Child<AuditCommand, AuditAnswer>(join(import.meta.dirname, "hub-child.ts"), "server");
  const agents = new Child<AuditCommand, AuditAnswer>(join(import.meta.dirname, "agents-child.ts"), "load");
  const cpu = async () => [(await hub.ask({ type: "cpu" })).cpuMs ?? 0, (await agents.ask({ type: "cpu" })).cpuMs ?? 0];
  try {
    const { publicKeyPem, signingKeyPem, server } = material;
    await agents.ask({ type: "fill", directory, agents: material.agents, publicKeyPem, events: each });
    const clusters = material.agents.map(({ cluster }) => cluster);
    const { port = 0 } = await hub.ask({ type: "startHub", tls: server, clusters, signingKeyPem, sink });
    const before = await cpu();
    const drained = hub.ask({ type: "awaitStored", events: each * count });
    await agents.ask({ type: "connect", port });
    const { elapsedMs: drainMs = 0 } = await drained;
    const after = await cpu();
    const lived = hub.ask({ type: "awaitStored", events: each * count });
    await agents.ask({ type: "append", events: each, inFlight: LIVE_IN_FLIGHT });
    const { elapsedMs: liveMs = 0 } = await lived;
    const micros = (at: 0 | 1): number => (((after[at] ?? 0) - (before[at] ?? 0)) * 1000) / (each * count);
    return {
      drain: (each * count * 1000) / drainMs,
      live: (each * count * 1000) / liveMs,
      hubMicros: micros(0),
      agentMicros: micros(1),
    };
  } finally {
    await Promise.all([hub.stop(), agents.stop()]);
    await rm(directory, { recursive: true });
  }
}

/** Decisions of one agent that wait for its log at once. */
const LIVE_IN_FLIGHT = 1_024;

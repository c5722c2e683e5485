import type { Command } from "commander";
import {
  type Agent,
  ListAgentsResponseSchema,
  WatchAgentsResponseSchema,
} from "../../../api/gen/conductor/fleet/v1alpha1/fleet_pb.ts";
import { withFleet } from "../clients.ts";
import { type CommandContext, type ReadOptions, withRead } from "../context.ts";
import { follow } from "../follow.ts";
import { ageOf, messageJson } from "../output.ts";
import { WatchedRows } from "../watched-rows.ts";
import { type Column, TableStream, renderTable } from "../table.ts";

/** Columns of an agent, for `agents` and for the live table of `up`. */
export function agentColumns(nowMs: number): readonly Column<Agent>[] {
  return [
    { header: "cluster", value: (agent) => agent.cluster },
    { header: "connected", value: (agent) => (agent.connected ? "yes" : "no") },
    { header: "replica", value: (agent) => (agent.connected ? agent.replica : "-") },
    { header: "index", value: indexText },
    { header: "items", value: itemsText },
    { header: "snapshot", value: snapshotText },
    { header: "drift", value: (agent) => String(agent.openDrift), align: "right" },
    { header: "rtt", value: (agent) => (agent.rttMs > 0 ? `${agent.rttMs.toFixed(1)}ms` : "-"), align: "right" },
    { header: "agent", value: (agent) => agent.agentVersion || "-" },
    { header: "nodes", value: (agent) => (agent.simulatedNodes ? "simulated" : "real") },
    { header: "seen", value: (agent) => ageOf(agent.lastSeen, nowMs), align: "right" },
    { header: "note", value: noteText },
  ];
}

/** What `-o wide` shows besides. */
export function wideColumns(nowMs: number): readonly Column<Agent>[] {
  const columns = agentColumns(nowMs);
  return [
    ...columns.slice(0, -1),
    {
      header: "protocol",
      value: (agent) => (agent.protocolVersion > 0 ? String(agent.protocolVersion) : "-"),
      align: "right",
    },
    { header: "term", value: (agent) => String(agent.term), align: "right" },
    { header: "certificate", value: certificateText(nowMs) },
    { header: "leader", value: (agent) => agent.agentLeader || "-" },
    { header: "capabilities", value: ({ capabilities }) => capabilities.map(({ name }) => name).join(",") || "-" },
    ...columns.slice(-1),
  ];
}

function certificateText(nowMs: number): (agent: Agent) => string {
  return ({ certificateNotAfter: end }) => {
    if (end === undefined) return "-";
    const days = Math.floor((Number(end.seconds) * 1000 - nowMs) / 86_400_000);
    return days < 0 ? "expired" : `${days}d left`;
  };
}

function indexText(agent: Agent): string {
  const { desired, held } = agent;
  if (desired === undefined) return "-";
  if (held === undefined) return `none of ${desired.sequence}`;
  return held.digest === desired.digest ? String(desired.sequence) : `${held.sequence} of ${desired.sequence}`;
}

function itemsText(agent: Agent): string {
  const { items } = agent;
  if (items === undefined) return "-";
  const refused = items.quarantined > 0 ? `, ${items.quarantined} refused` : "";
  return `${items.healthy}/${items.desired} healthy${refused}`;
}

function snapshotText(agent: Agent): string {
  const { snapshot } = agent;
  if (snapshot === undefined || snapshot.expectedVersion === "") return "-";
  if (snapshot.syncStatus === "DegradedSecurityState") return `degraded (${snapshot.degradedReason})`;
  return snapshot.acknowledgedVersion === snapshot.expectedVersion ? snapshot.syncStatus || "-" : "behind";
}

/** What a person should know of an agent now; empty when there is nothing. */
export function noteText(agent: Agent): string {
  if (!agent.connected) return agent.lastDisconnect || agent.degradedReason;
  if (agent.needsResync) return "resync due";
  return agent.degradedReason;
}

/** `seamctl agents`. */
export function agentsCommand(program: Command, context: CommandContext): void {
  withRead(
    program
      .command("agents")
      .description("list the agents of the fleet: who is connected, what each holds and how far it has come")
      .argument("[clusters...]", "only these clusters"),
    "wide",
  )
    .option("-w, --watch", "go on until Ctrl-C, printing every change")
    .addHelpText(
      "after",
      "\nExamples:\n  seamctl agents\n  seamctl agents -o wide\n  seamctl agents tenant-2 -o json\n  seamctl agents --watch\n\nExit code: 0 when all of them are connected, 1 otherwise.",
    )
    .action(
      async (
        clusters: readonly string[],
        options: ReadOptions<"table" | "wide" | "json"> & { readonly watch?: boolean },
      ) => {
        const columns = (): readonly Column<Agent>[] =>
          (options.output === "wide" ? wideColumns : agentColumns)(context.clock.now());
        const render = (agents: readonly Agent[]): string => renderTable(columns(), agents);
        await withFleet(options, async (client) => {
          if (options.watch !== true) {
            const answer = await client.listAgents({ clusters: [...clusters] }, { signal: context.signal });
            if (options.output === "json") context.output.out(messageJson(ListAgentsResponseSchema, answer));
            else context.output.out(answer.agents.length === 0 ? "no agents" : render(answer.agents));
            for (const cluster of clusters.filter((name) => !answer.agents.some((agent) => agent.cluster === name)))
              context.output.err(`seamctl: cluster ${cluster} is not registered; list those that are: seamctl agents`);
            const all = answer.agents.length > 0 && answer.agents.length >= new Set(clusters).size;
            context.finish(all && answer.agents.every((agent) => agent.connected) ? "yes" : "no");
            return;
          }
          const table = new TableStream();
          const rows = new WatchedRows();
          await follow(
            context,
            () => client.watchAgents({ clusters: [...clusters], have: rows.have }, { signal: context.signal }),
            (change) => {
              for (const { cluster, revision } of change.agents) rows.shown(cluster, revision);
              for (const cluster of change.removed) rows.removed(cluster);
              if (options.output === "json") return context.output.out(messageJson(WatchAgentsResponseSchema, change));
              if (change.agents.length > 0) context.output.out(table.print(columns(), change.agents));
              for (const cluster of change.removed) context.output.out(`${cluster} removed`);
            },
          );
        });
      },
    );
}

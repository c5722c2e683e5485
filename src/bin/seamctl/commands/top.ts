import type { Command } from "commander";
import { type Agent, ListAgentsResponseSchema } from "../../../api/gen/conductor/fleet/v1alpha1/fleet_pb.ts";
import { withFleet } from "../clients.ts";
import { type CommandContext, type ReadOptions, UsageError, withRead } from "../context.ts";
import { type Line, LiveRegion, fit } from "../live-region.ts";
import { ageOf, messageJson } from "../output.ts";
import { type Column, renderTable } from "../table.ts";
import { isUnreachable } from "../unreachable.ts";
import { noteText } from "./agents.ts";

/** Bounds of the pause between two looks, seconds. */
const MIN_INTERVAL_SECONDS = 1;
const MAX_INTERVAL_SECONDS = 3_600;

/** What stands in the way of an agent, the worst first; the first that differs decides. */
function troubles(agent: Agent): readonly number[] {
  const { items } = agent;
  return [
    agent.connected ? 0 : 1,
    agent.degradedReason === "" ? 0 : 1,
    items?.quarantined ?? 0,
    agent.needsResync ? 1 : 0,
    agent.openDrift,
    (items?.desired ?? 0) - (items?.healthy ?? 0),
    Number(agent.queuedBytes),
    Number(agent.auditBacklog),
    agent.rttMs,
  ];
}

/** Agents with those in most trouble first; equals by name. */
export function byTrouble(agents: readonly Agent[]): readonly Agent[] {
  const ranked = agents.map((agent) => ({ agent, of: troubles(agent) }));
  ranked.sort((a, b) => {
    for (const [at, worse] of b.of.entries()) {
      const difference = worse - (a.of[at] ?? 0);
      if (difference !== 0) return difference;
    }
    return a.agent.cluster < b.agent.cluster ? -1 : 1;
  });
  return ranked.map(({ agent }) => agent);
}

/** The fleet in one line. */
export function fleetLine(agents: readonly Agent[]): string {
  const sum = (of: (agent: Agent) => number): number => agents.reduce((total, agent) => total + of(agent), 0);
  const connected = agents.filter((agent) => agent.connected).length;
  return [
    `${connected} of ${agents.length} connected`,
    `${sum(({ items }) => items?.healthy ?? 0)} of ${sum(({ items }) => items?.desired ?? 0)} items healthy, ${sum(({ items }) => items?.quarantined ?? 0)} refused`,
    `${sum(({ openDrift }) => openDrift)} drift`,
    `${sum(({ auditBacklog }) => Number(auditBacklog))} audit events waiting`,
    `${kib(sum(({ queuedBytes }) => Number(queuedBytes)))} queued`,
  ].join(" | ");
}

function topColumns(nowMs: number): readonly Column<Agent>[] {
  return [
    { header: "cluster", value: ({ cluster }) => cluster },
    { header: "connected", value: (agent) => (agent.connected ? "yes" : "no") },
    { header: "behind", value: ({ items }) => String((items?.desired ?? 0) - (items?.healthy ?? 0)), align: "right" },
    { header: "refused", value: ({ items }) => String(items?.quarantined ?? 0), align: "right" },
    { header: "drift", value: ({ openDrift }) => String(openDrift), align: "right" },
    { header: "queued", value: ({ queuedBytes }) => kib(Number(queuedBytes)), align: "right" },
    { header: "audit", value: ({ auditBacklog }) => String(auditBacklog), align: "right" },
    { header: "rtt", value: ({ rttMs }) => (rttMs > 0 ? `${rttMs.toFixed(1)}ms` : "-"), align: "right" },
    { header: "replica", value: (agent) => (agent.connected ? agent.replica : "-") },
    { header: "seen", value: (agent) => ageOf(agent.lastSeen, nowMs), align: "right" },
    { header: "note", value: noteText },
  ];
}

function kib(bytes: number): string {
  return bytes === 0 ? "0" : `${(bytes / 1024).toFixed(1)}KiB`;
}

function picture(agents: readonly Agent[], nowMs: number): readonly string[] {
  const table = agents.length === 0 ? ["no agents"] : renderTable(topColumns(nowMs), byTrouble(agents)).split("\n");
  return [fleetLine(agents), "", ...table];
}

function parseInterval(text: string): number {
  const seconds = Number(text);
  if (text !== "" && seconds >= MIN_INTERVAL_SECONDS && seconds <= MAX_INTERVAL_SECONDS) return seconds;
  throw new UsageError(
    `--interval must be ${MIN_INTERVAL_SECONDS} to ${MAX_INTERVAL_SECONDS} seconds, found ${JSON.stringify(text)}`,
  );
}

/** `seamctl top`. */
export function topCommand(program: Command, context: CommandContext): void {
  withRead(
    program
      .command("top")
      .description("the fleet at a glance, drawn anew every few seconds, those in trouble first")
      .argument("[clusters...]", "only these clusters"),
  )
    .option("-i, --interval <seconds>", "time between two looks", parseInterval, 2)
    .option("--once", "print one look and end, as where there is no terminal")
    .addHelpText(
      "after",
      "\nBEHIND counts items of the desired index that are not healthy yet, QUEUED what the hub holds for the agent, AUDIT the events at the\nagent that the hub has not stored.\n\nExamples:\n  seamctl top\n  seamctl top --interval 10\n  seamctl top --once edge-1 edge-2\n  seamctl top -o json\n\nExit code: 0 when all of them are connected at the last look, 1 otherwise.",
    )
    .action(async (clusters: readonly string[], options: ReadOptions & { interval: number; once?: boolean }) => {
      const { output, clock, signal } = context;
      const live = output.isTerminal && options.once !== true && options.output !== "json";
      const region = new LiveRegion();
      const draw = (texts: readonly string[]): void => {
        const size = output.size();
        const lines: Line[] = texts.map((text) => ({ text }));
        output.raw(region.draw(fit([lines], [], size), size));
      };
      let shown: readonly string[] = [];
      await withFleet(options, async (client) => {
        for (;;) {
          try {
            const answer = await client.listAgents({ clusters: [...clusters] }, { signal });
            shown = picture(answer.agents, clock.now());
            if (live) draw(shown);
            else
              output.out(options.output === "json" ? messageJson(ListAgentsResponseSchema, answer) : shown.join("\n"));
            for (const cluster of clusters.filter((name) => !answer.agents.some((agent) => agent.cluster === name)))
              output.err(`seamctl: cluster ${cluster} is not registered; list those that are: seamctl agents`);
            const all = answer.agents.length > 0 && answer.agents.length >= new Set(clusters).size;
            context.finish(all && answer.agents.every((agent) => agent.connected) ? "yes" : "no");
          } catch (error) {
            if (signal.aborted) return;
            if (!live || shown.length === 0 || !isUnreachable(error)) throw error;
            draw([...shown, "", "the hub does not answer; this is what it said last. Trying again until Ctrl-C."]);
            context.finish("no");
          }
          if (!live) return;
          try {
            await clock.sleep(options.interval * 1000, signal);
          } catch {
            return; // Ctrl-C while waiting
          }
        }
      });
    });
}

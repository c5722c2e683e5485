import type { Command } from "commander";
import { DriftedResource_ChangeSchema } from "../../../api/gen/conductor/federation/v1alpha1/facts_pb.ts";
import { type DriftSignalView, ListDriftResponseSchema } from "../../../api/gen/conductor/fleet/v1alpha1/fleet_pb.ts";
import { withFleet } from "../clients.ts";
import { type CommandContext, type ReadOptions, withRead } from "../context.ts";
import { ageOf, enumWords, messageJson } from "../output.ts";
import { type Column, renderTable } from "../table.ts";

function columns(nowMs: number): readonly Column<DriftSignalView>[] {
  return [
    { header: "cluster", value: (signal) => signal.cluster },
    { header: "signal", value: (signal) => signal.name },
    { header: "state", value: (signal) => (signal.terminal ? `${signal.state}, terminal` : signal.state) },
    { header: "affected", value: (signal) => signal.affected },
    { header: "failed", value: (signal) => String(signal.escalations), align: "right" },
    { header: "age", value: (signal) => ageOf(signal.observedAt, nowMs), align: "right" },
    { header: "attempt", value: (signal) => ageOf(signal.lastAttemptAt, nowMs), align: "right" },
    { header: "what", value: whatText },
  ];
}

function whatText(signal: DriftSignalView): string {
  const first = signal.driftedResources[0];
  if (first === undefined) return signal.reason;
  const { resource, change, paths } = first;
  const object = `${resource?.kind ?? ""} ${resource?.namespace ? `${resource.namespace}/` : ""}${resource?.name ?? ""}`;
  const what = enumWords(DriftedResource_ChangeSchema, change);
  const more = signal.driftedResources.length - 1;
  return `${object} ${what}${paths.length > 0 ? ` (${paths.join(", ")})` : ""}${more > 0 ? ` and ${more} more` : ""}`;
}

/** `seamctl drift`. Exit code 0 when nothing is open. */
export function driftCommand(program: Command, context: CommandContext): void {
  withRead(
    program.command("drift").description("list open drift: what differs on which tenant and how correction goes"),
  )
    .option("--cluster <name>", "only this cluster")
    .option("--all", "also confirmed signals")
    .addHelpText(
      "after",
      "\nExamples:\n  seamctl drift\n  seamctl drift --cluster tenant-2 --all\n\nExit code: 0 when no drift is open, 1 when some is.",
    )
    .action(async (options: ReadOptions & { readonly cluster?: string; readonly all?: boolean }) => {
      const answer = await withFleet(options, (client) =>
        client.listDrift(
          { cluster: options.cluster ?? "", includeConfirmed: options.all ?? false },
          { signal: context.signal },
        ),
      );
      if (options.output === "json") context.output.out(messageJson(ListDriftResponseSchema, answer));
      else if (answer.signals.length === 0) context.output.out("no drift");
      else context.output.out(renderTable(columns(context.clock.now()), answer.signals));
      context.finish(answer.signals.every((signal) => signal.state === "confirmed") ? "yes" : "no");
    });
}

import type { Command } from "commander";
import { PermissionSnapshot } from "../../../api/kinds/permission-snapshot.ts";
import type { SurfaceDifference } from "../../../api/kinds/surface-difference.ts";
import type { Cluster } from "../../../cluster/cluster.ts";
import { compareContents, isUnchanged } from "../../../permissions/reach/compare-content.ts";
import { type CommandContext, parseFormat } from "../context.ts";
import { type KubernetesOptions, withManagement, withManagementFlags } from "../kubernetes.ts";
import { listAll } from "../permission-world.ts";
import { CHANGE_COLUMNS, changeRows } from "../simulation-text.ts";
import { snapshotText } from "../snapshot-text.ts";
import {
  type StoredSnapshotView,
  namesFile,
  readSnapshotFile,
  readStoredSnapshot,
  snapshotJson,
} from "../stored-snapshot.ts";
import { renderTable } from "../table.ts";
import { historyCommand } from "./snapshot-history.ts";

interface SnapshotOptions extends KubernetesOptions {
  readonly output: string;
}

/** `seamctl snapshot show|diff|drift|history`. */
export function snapshotCommands(program: Command, context: CommandContext): void {
  const snapshot = program
    .command("snapshot")
    .description("permission snapshots: what they grant, how two differ, how a cluster's own RBAC differs")
    .addHelpText("after", "\nExamples:\n  seamctl snapshot show tenant-1\n  seamctl snapshot drift");
  withManagementFlags(
    snapshot
      .command("show")
      .description("everything that anybody may do on one cluster, and how far the tenant has it"),
  )
    .argument("<cluster>", "governed cluster, or a file that `show -o json` printed")
    .option("--subject <text>", "only subjects with this text in their name", "")
    .option("-o, --output <format>", "table or json (for `snapshot diff` later)", parseFormat, "table")
    .addHelpText(
      "after",
      "\nExamples:\n  seamctl snapshot show tenant-1\n  seamctl snapshot show tenant-1 --subject hello\n  seamctl snapshot show tenant-1 -o json > before.json",
    )
    .action(async (cluster: string, options: SnapshotOptions & { readonly subject: string }) => {
      const view = await read(cluster, options, context);
      context.output.out(
        options.output === "json"
          ? JSON.stringify(snapshotJson(view), undefined, 2)
          : snapshotText(view, options.subject),
      );
    });
  historyCommand(snapshot, context);
  withManagementFlags(
    snapshot.command("diff").description("who may do more or less by the second snapshot than by the first"),
  )
    .argument("<before>", "cluster, or a file that `show -o json` printed")
    .argument("<after>", "the same")
    .option("-o, --output <format>", "table or json", parseFormat, "table")
    .addHelpText(
      "after",
      "\nExamples:\n  seamctl snapshot diff tenant-1 tenant-2\n  seamctl snapshot diff before.json tenant-1\n\nExit code: 0 when every decision is the same, 1 when some differ.",
    )
    .action(async (before: string, after: string, options: SnapshotOptions) => {
      const [then, now] = [await read(before, options, context), await read(after, options, context)];
      const changes = compareContents(then.content, now.content, context.clock.now());
      if (options.output === "json") context.output.out(JSON.stringify(changes, undefined, 2));
      else if (isUnchanged(changes))
        context.output.out(
          `${titleOf(then)} and ${titleOf(now)} decide alike${then.contentHash === now.contentHash ? ": the same content" : ""}`,
        );
      else
        context.output.out(
          `from ${titleOf(then)} to ${titleOf(now)}:\n\n${renderTable(CHANGE_COLUMNS.slice(1), changeRows("", changes))}`,
        );
      context.finish(isUnchanged(changes) ? "yes" : "no");
    });
  withManagementFlags(
    snapshot
      .command("drift")
      .description("what the clusters' own roles and bindings grant beyond or short of their snapshots"),
  )
    .option("--cluster <name>", "only this cluster")
    .option("-o, --output <format>", "table or json", parseFormat, "table")
    .addHelpText(
      "after",
      "\nExamples:\n  seamctl snapshot drift\n  seamctl snapshot drift --cluster tenant-1 -o json\n\nExit code: 0 when all clusters agree with their snapshots, 1 when one does not or has not compared yet.",
    )
    .action(async (options: SnapshotOptions & { readonly cluster?: string }) => {
      const snapshots = (await withManagement(options, context, (cluster) => listAll(cluster, PermissionSnapshot)))
        .filter(({ spec }) => options.cluster === undefined || spec.targetCluster === options.cluster)
        .sort((a, b) => (a.spec.targetCluster < b.spec.targetCluster ? -1 : 1));
      const states = snapshots.map(driftState);
      context.output.out(options.output === "json" ? JSON.stringify(states, undefined, 2) : driftText(states));
      context.finish(states.length > 0 && states.every(({ state }) => state === "agrees") ? "yes" : "no");
    });
}

function titleOf({ cluster, version }: StoredSnapshotView): string {
  return `${cluster} ${version}`;
}

async function read(
  argument: string,
  options: KubernetesOptions,
  context: CommandContext,
): Promise<StoredSnapshotView> {
  if (namesFile(argument)) return readSnapshotFile(argument);
  return withManagement(options, context, (cluster: Cluster) => readStoredSnapshot(cluster, argument));
}

interface DriftState {
  readonly cluster: string;
  readonly state: "agrees" | "differs" | "not compared";
  readonly excess: readonly SurfaceDifference[];
  readonly excessTotal: number;
  readonly missing: readonly SurfaceDifference[];
  readonly missingTotal: number;
}

function driftState({ spec, status }: PermissionSnapshot): DriftState {
  const { excess = [], excessTotal = 0, missing = [], missingTotal = 0, driftDetected, surfaceHash } = status ?? {};
  const state = surfaceHash === undefined ? "not compared" : driftDetected === true ? "differs" : "agrees";
  return { cluster: spec.targetCluster, state, excess, excessTotal, missing, missingTotal };
}

function driftText(states: readonly DriftState[]): string {
  const rows = states.flatMap(({ cluster, excess, missing }) => [
    ...excess.map((right) => ({ cluster, side: "beyond", ...right })),
    ...missing.map((right) => ({ cluster, side: "missing", ...right })),
  ]);
  const lines = states
    .filter(({ state }) => state !== "agrees")
    .map(({ cluster, state, excess, excessTotal, missing, missingTotal }) => {
      if (state === "not compared") return `${cluster}: not compared yet`;
      const unlisted = excessTotal + missingTotal - excess.length - missing.length;
      return `${cluster}: ${excessTotal} beyond its snapshot, ${missingTotal} missing${unlisted > 0 ? `, ${unlisted} of them not listed` : ""}`;
    });
  if (lines.length === 0)
    return states.length === 0 ? "no such cluster" : `${states.length} of ${states.length} agree with their snapshots`;
  if (rows.length === 0) return lines.join("\n");
  const table = renderTable(
    [
      { header: "cluster", value: (row: (typeof rows)[number]) => row.cluster },
      { header: "side", value: (row) => row.side },
      { header: "who", value: (row) => row.subject },
      { header: "where", value: (row) => row.where },
      { header: "what", value: (row) => row.rule },
      { header: "binding", value: (row) => row.binding ?? "-" },
    ],
    rows,
  );
  return `${table}\n\n${lines.join("\n")}`;
}

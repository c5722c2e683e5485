import type { Command } from "commander";
import {
  ListSnapshotLedgerResponseSchema,
  type SnapshotLedgerEntry,
} from "../../../api/gen/conductor/fleet/v1alpha1/audit_pb.ts";
import { withAudit } from "../clients.ts";
import { type CommandContext, type ReadOptions, UsageError, withRead } from "../context.ts";
import { messageJson, timeOf } from "../output.ts";
import { type Column, renderTable } from "../table.ts";

const MAX_VERSIONS = 200;
/** Digits of a key's id that are shown. */
const KEY_DIGITS = 12;

const COLUMNS: readonly Column<SnapshotLedgerEntry>[] = [
  { header: "version", value: ({ version }) => version },
  { header: "computed", value: ({ generatedAt }) => at(generatedAt) },
  { header: "signed", value: ({ signedAt }) => at(signedAt) },
  { header: "key", value: ({ signedBy }) => signedBy.slice(0, KEY_DIGITS) || "-" },
  { header: "offered", value: ({ offeredAt }) => at(offeredAt) },
  { header: "applied", value: ({ appliedAt }) => at(appliedAt) },
  { header: "acknowledged", value: ({ acknowledgedAt }) => at(acknowledgedAt) },
  { header: "refused", value: ({ rejectedCode }) => rejectedCode || "-" },
];

function at(time: SnapshotLedgerEntry["signedAt"]): string {
  return time === undefined ? "-" : timeOf(time);
}

/** `seamctl snapshot history`. */
export function historyCommand(snapshot: Command, context: CommandContext): void {
  withRead(
    snapshot.command("history").description("the versions of one cluster's snapshot, newest first, from the audit log"),
  )
    .argument("<cluster>", "governed cluster")
    .option("--limit <n>", "print at most so many versions", limitFlag, 20)
    .addHelpText(
      "after",
      "\nTimes of the hub and of the tenant are each by their own clock. Renewals of a version are not in the history.\n\nExamples:\n  seamctl snapshot history tenant-1\n  seamctl snapshot history tenant-1 --limit 100 -o json",
    )
    .action(async (cluster: string, options: ReadOptions & { readonly limit: number }) => {
      const { limit } = options;
      const found = await withAudit(options, (client) =>
        client.listSnapshotLedger({ cluster, limit }, { signal: context.signal }),
      );
      if (options.output === "json") context.output.out(messageJson(ListSnapshotLedgerResponseSchema, found));
      else if (found.entries.length === 0)
        context.output.out(`the audit log knows no snapshot of ${cluster}; governed clusters: seamctl agents`);
      else context.output.out(renderTable(COLUMNS, found.entries));
      if (found.truncated) context.output.err(`older versions; raise --limit (${limit})`);
    });
}

function limitFlag(text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 1 && value <= MAX_VERSIONS) return value;
  throw new UsageError(`--limit must be a whole number from 1 to ${MAX_VERSIONS}, found ${JSON.stringify(text)}`);
}

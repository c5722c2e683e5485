import type { Command } from "commander";
import { ItemReport_Level, ItemReport_LevelSchema } from "../../../api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import {
  ListReceiptsResponseSchema,
  type Receipt,
  WatchReceiptsResponseSchema,
} from "../../../api/gen/conductor/fleet/v1alpha1/fleet_pb.ts";
import { withReceipts } from "../clients.ts";
import { type CommandContext, type ReadOptions, withRead } from "../context.ts";
import { follow } from "../follow.ts";
import { ageOf, enumWords, messageJson } from "../output.ts";
import { WatchedRows } from "../watched-rows.ts";
import { type Column, TableStream, renderTable } from "../table.ts";

/** Name of a level as people say it. */
export function levelText(level: ItemReport_Level): string {
  return level === ItemReport_Level.UNSPECIFIED ? "-" : enumWords(ItemReport_LevelSchema, level);
}

/** Columns of a receipt, for `receipts` and for the live table of `up`. */
export function receiptColumns(nowMs: number): readonly Column<Receipt>[] {
  return [
    { header: "cluster", value: (receipt) => receipt.cluster },
    { header: "receipt", value: (receipt) => receipt.name },
    { header: "pack", value: (receipt) => receipt.pack },
    { header: "version", value: (receipt) => receipt.version },
    { header: "level", value: (receipt) => levelText(receipt.level) },
    { header: "verified", value: verifiedText },
    { header: "drift", value: (receipt) => receipt.driftStatus || "-" },
    { header: "objects", value: (receipt) => String(receipt.resources), align: "right" },
    { header: "serial", value: (receipt) => String(receipt.serial), align: "right" },
    { header: "mirrored", value: (receipt) => ageOf(receipt.mirroredAt, nowMs), align: "right" },
  ];
}

function verifiedText(receipt: Receipt): string {
  if (receipt.verified === undefined) return "pending";
  if (!receipt.verified) return `no: ${receipt.verificationFailedReason}`;
  return receipt.acknowledged ? "yes" : "yes, not acknowledged";
}

/** `seamctl receipts`. */
export function receiptsCommand(program: Command, context: CommandContext): void {
  withRead(program.command("receipts").description("list the receipts of packs as the tenants reported them"))
    .option("--cluster <name>", "only this cluster")
    .option("--pack <name>", "only this PackDelivery or base pack")
    .option("-w, --watch", "go on until Ctrl-C, printing every change")
    .addHelpText(
      "after",
      "\nExamples:\n  seamctl receipts\n  seamctl receipts --cluster tenant-2 --pack hello\n  seamctl receipts --watch",
    )
    .action(
      async (
        options: ReadOptions & { readonly cluster?: string; readonly pack?: string; readonly watch?: boolean },
      ) => {
        const filter = { cluster: options.cluster ?? "", pack: options.pack ?? "" };
        const render = (receipts: readonly Receipt[]): string =>
          receipts.length === 0 ? "no receipts" : renderTable(receiptColumns(context.clock.now()), receipts);
        await withReceipts(options, async (client) => {
          if (options.watch !== true) {
            const answer = await client.listReceipts(filter, { signal: context.signal });
            context.output.out(
              options.output === "json" ? messageJson(ListReceiptsResponseSchema, answer) : render(answer.receipts),
            );
            return;
          }
          const table = new TableStream();
          const rows = new WatchedRows();
          await follow(
            context,
            () => client.watchReceipts({ ...filter, have: rows.have }, { signal: context.signal }),
            (change) => {
              for (const { cluster, name, revision } of change.receipts) rows.shown(`${cluster}/${name}`, revision);
              for (const name of change.removed) rows.removed(name);
              if (options.output === "json")
                return context.output.out(messageJson(WatchReceiptsResponseSchema, change));
              if (change.receipts.length > 0)
                context.output.out(table.print(receiptColumns(context.clock.now()), change.receipts));
              for (const name of change.removed) context.output.out(`${name} removed`);
            },
          );
        });
      },
    );
}

import type { Command } from "commander";
import {
  GetQuarantinedResponseSchema,
  ListQuarantineResponseSchema,
  type QuarantineEntry,
  QuarantineEntrySchema,
  type QuarantineId,
  type QuarantineTotal,
} from "../../../api/gen/conductor/fleet/v1alpha1/audit_pb.ts";
import { type MessageInitShape, create } from "@bufbuild/protobuf";
import type { QuarantineIdSchema } from "../../../api/gen/conductor/fleet/v1alpha1/audit_pb.ts";
import { withAudit } from "../clients.ts";
import { type CommandContext, type ReadOptions, UsageError, withRead } from "../context.ts";
import { messageJson, timeOf } from "../output.ts";
import { type Column, renderTable } from "../table.ts";

/** Digits of a digest that are shown and enough to name an event. */
const SHOWN_DIGITS = 12;
const PAGE = 200;

const ENTRIES: readonly Column<QuarantineEntry>[] = [
  { header: "id", value: ({ id }) => idText(id) },
  { header: "code", value: ({ code }) => code || "-" },
  { header: "bytes", value: ({ bytes }) => String(bytes), align: "right" },
  { header: "received", value: ({ receivedAt }) => timeOf(receivedAt) },
];

const TOTALS: readonly Column<QuarantineTotal>[] = [
  { header: "cluster", value: ({ cluster }) => cluster },
  { header: "entries", value: ({ entries }) => String(entries), align: "right" },
  { header: "bytes", value: ({ bytes }) => String(bytes), align: "right" },
  { header: "no place for", value: ({ overflowed }) => String(overflowed), align: "right" },
];

function idText(id: QuarantineId | undefined): string {
  return id === undefined ? "" : `${id.cluster}/${id.epoch}/${id.sequence}/${id.digest.slice(0, SHOWN_DIGITS)}`;
}

/** Reads `CLUSTER/EPOCH/NUMBER/DIGEST`. @throws UsageError */
export function parseQuarantineId(text: string): MessageInitShape<typeof QuarantineIdSchema> {
  const match = /^([^/]+)\/([0-9]{1,16})\/([0-9]{1,16})\/([0-9a-f]{12,64})$/.exec(text);
  if (match === null)
    throw new UsageError(
      `ID must be CLUSTER/EPOCH/NUMBER/DIGEST as seamctl audit quarantine list prints it, found ${JSON.stringify(text)}`,
    );
  const [, cluster = "", epoch = "", sequence = "", digest = ""] = match;
  return { cluster, epoch: BigInt(epoch), sequence: BigInt(sequence), digest };
}

/** `seamctl audit quarantine list|show|resolve`. */
export function quarantineCommands(audit: Command, context: CommandContext): void {
  const quarantine = audit
    .command("quarantine")
    .description("look into events that the hub refused and kept apart")
    .addHelpText(
      "after",
      "\nAn event is refused when its number has another event already (AUDIT_CONFLICT), when its hash is not its own\n(AUDIT_HASH_MISMATCH), when it names another cluster (AUDIT_CLUSTER_MISMATCH) or is no event (AUDIT_INVALID).\n\nExamples:\n  seamctl audit quarantine list\n  seamctl audit quarantine show tenant-1/1796023400/17/3fa9c2d1e0b4\n  seamctl audit quarantine resolve tenant-1/1796023400/17/3fa9c2d1e0b4 --reason 'disk was cloned, INC-42'",
    );
  listCommand(quarantine, context);
  showCommand(quarantine, context);
  resolveCommand(quarantine, context);
}

function listCommand(quarantine: Command, context: CommandContext): void {
  withRead(quarantine.command("list").description("what is in quarantine, and how much room it takes"))
    .option("--cluster <name>", "only this cluster")
    .addHelpText(
      "after",
      "\nExample:\n  seamctl audit quarantine list --cluster tenant-1\n\nExit code: 0 when nothing is in quarantine, 1 when something is.",
    )
    .action(async (options: ReadOptions & { readonly cluster?: string }) => {
      const answer = create(ListQuarantineResponseSchema, {});
      await withAudit(options, async (client) => {
        let pageToken = "";
        do {
          const page = await client.listQuarantine(
            { cluster: options.cluster ?? "", pageSize: PAGE, pageToken },
            { signal: context.signal },
          );
          answer.entries.push(...page.entries);
          if (pageToken === "") {
            answer.totals = page.totals;
            answer.maxEntries = page.maxEntries;
            answer.maxBytes = page.maxBytes;
          }
          pageToken = page.nextPageToken;
        } while (pageToken !== "");
      });
      const { entries, totals, maxEntries } = answer;
      if (options.output === "json") context.output.out(messageJson(ListQuarantineResponseSchema, answer));
      else if (totals.length === 0) context.output.out("nothing is in quarantine");
      else {
        if (entries.length > 0) context.output.out(`${renderTable(ENTRIES, entries)}\n`);
        context.output.out(renderTable(TOTALS, totals));
      }
      if (totals.some(({ overflowed, entries: held }) => overflowed > 0n && held >= maxEntries))
        context.output.err(
          "a quarantine is full: further refused events are counted and not kept; resolve what is clear",
        );
      context.finish(entries.length === 0 ? "yes" : "no");
    });
}

function showCommand(quarantine: Command, context: CommandContext): void {
  withRead(quarantine.command("show").description("one event as it came, beside the one that has its number"))
    .argument("<id>", "CLUSTER/EPOCH/NUMBER/DIGEST, as list prints it")
    .addHelpText("after", "\nExample:\n  seamctl audit quarantine show tenant-1/1796023400/17/3fa9c2d1e0b4")
    .action(async (text: string, options: ReadOptions) => {
      const id = parseQuarantineId(text);
      const found = await withAudit(options, (client) => client.getQuarantined({ id }, { signal: context.signal }));
      if (options.output === "json") {
        context.output.out(messageJson(GetQuarantinedResponseSchema, found));
        return;
      }
      const { entry, event, hash, prevHash, stored } = found;
      const lines = [
        ["id", idText(entry?.id)],
        ["refused", `${entry?.code || "unknown"} at ${timeOf(entry?.receivedAt)}`],
        ["hash", hash],
        ["follows", prevHash || "-"],
        ["event", printable(event)],
        ["in the log", stored === undefined ? "no event has this number" : stored.event],
        ...(stored === undefined ? [] : [["its hash", stored.hash]]),
      ];
      for (const [name = "", value = ""] of lines) context.output.out(`${`${name}:`.padEnd(12)}${value}`);
    });
}

function resolveCommand(quarantine: Command, context: CommandContext): void {
  withRead(
    quarantine.command("resolve").description("take one event out of quarantine; the log says who did it and why"),
  )
    .argument("<id>", "CLUSTER/EPOCH/NUMBER/DIGEST, as list prints it")
    .requiredOption("--reason <text>", "what was found, for whoever reads the log")
    .addHelpText(
      "after",
      "\nThe event itself goes into the record of its resolution (action audit.quarantine_resolved in the log of the management\ncluster). Nothing in the tenant's log changes.\n\nExample:\n  seamctl audit quarantine resolve tenant-1/1796023400/17/3fa9c2d1e0b4 --reason 'disk was cloned, INC-42'",
    )
    .action(async (text: string, options: ReadOptions & { readonly reason: string }) => {
      const id = parseQuarantineId(text);
      const { entry } = await withAudit(options, (client) =>
        client.resolveQuarantined({ id, reason: options.reason }, { signal: context.signal }),
      );
      if (entry === undefined) return;
      if (options.output === "json") context.output.out(messageJson(QuarantineEntrySchema, entry));
      else context.output.out(`${idText(entry.id)} is resolved`);
    });
}

/** Text as it is; anything else in Base64, so that a terminal is left alone. */
function printable(event: Uint8Array): string {
  const bytes = Buffer.from(event);
  const text = bytes.toString("utf8");
  const clean = Buffer.from(text).equals(bytes) && !/\p{Cc}/u.test(text);
  return clean ? text : `base64 ${bytes.toString("base64")}`;
}

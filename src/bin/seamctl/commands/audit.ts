import { readFile, rename, writeFile } from "node:fs/promises";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { Command } from "commander";
import {
  type AuditEventFilter,
  AuditEventFilterSchema,
  type AuditLogEvent,
  AuditLogEventSchema,
  ChainFault,
  ChainFaultSchema,
  QueryEventsResponseSchema,
  type VerifyChainsResponse,
  VerifyChainsResponseSchema,
} from "../../../api/gen/conductor/fleet/v1alpha1/audit_pb.ts";
import { GrpcStatusError, Status } from "../../../api/grpc/status-error.ts";
import { errorMessage } from "../../../base/errors.ts";
import { isJsonObject } from "../../../base/json.ts";
import { withAudit } from "../clients.ts";
import { type CommandContext, type ReadOptions, UsageError, withRead } from "../context.ts";
import { auditLogCommand } from "./audit-log.ts";
import { quarantineCommands } from "./audit-quarantine.ts";
import { ageOf, enumWords, messageJson, timeOf } from "../output.ts";
import { type Column, renderTable } from "../table.ts";

/** Most events that `query` prints. */
const MAX_LIMIT = 100_000;
/** Events per page. */
const PAGE = 1_000;
const UNITS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

interface FilterOptions extends ReadOptions {
  readonly cluster?: string;
  readonly subject?: string;
  readonly action?: string;
  readonly decision?: string;
  readonly lineage?: string;
  readonly since?: string;
  readonly until?: string;
}

const COLUMNS: readonly Column<AuditLogEvent>[] = [
  { header: "time", value: (event) => event.time || timeOf(event.receivedAt) },
  { header: "cluster", value: (event) => event.cluster },
  { header: "number", value: (event) => String(event.sequence), align: "right" },
  { header: "action", value: (event) => event.action },
  { header: "decision", value: (event) => event.decision || "-" },
  { header: "subject", value: (event) => event.subject || "-" },
  { header: "verb", value: (event) => member(event, "verb") || "-" },
  { header: "resource", value: (event) => event.resource || "-" },
  { header: "namespace", value: (event) => member(event, "namespace") || "-" },
  { header: "code", value: (event) => member(event, "code") || "-" },
];

/** One member of the event itself, which has more than its searchable columns. */
function member({ event }: AuditLogEvent, name: string): string {
  const fields: unknown = JSON.parse(event);
  const value = isJsonObject(fields) ? fields[name] : undefined;
  return typeof value === "string" ? value : "";
}

function chainColumns(nowMs: number): readonly Column<VerifyChainsResponse>[] {
  return [
    { header: "cluster", value: (chain) => chain.cluster },
    { header: "epoch", value: (chain) => String(chain.epoch), align: "right" },
    { header: "highest", value: (chain) => String(chain.highest), align: "right" },
    { header: "verified", value: (chain) => String(chain.verified), align: "right" },
    { header: "explained", value: (chain) => String(chain.explained), align: "right" },
    { header: "quarantined", value: (chain) => String(chain.quarantined), align: "right" },
    { header: "removed", value: (chain) => String(chain.removed), align: "right" },
    { header: "last removal", value: (chain) => ageOf(chain.removedAt, nowMs), align: "right" },
    { header: "result", value: verdictText },
  ];
}

function verdictText({ breaks, firstFault, faultFrom, faultTo }: VerifyChainsResponse): string {
  if (breaks === 0n) return "whole";
  const more = breaks > 1n ? `, ${breaks} breaks in all` : "";
  if (firstFault === ChainFault.UNSPECIFIED) return `${breaks} breaks in the removed part`;
  const numbers = faultFrom === faultTo ? `${faultFrom}` : `${faultFrom} to ${faultTo}`;
  return `${enumWords(ChainFaultSchema, firstFault)} at ${numbers}${more}`;
}

function withFilter(command: Command): Command {
  return withRead(command)
    .option("--cluster <name>", "only this cluster")
    .option("--subject <name>", "only this subject")
    .option("--action <name>", "only this action, such as authz.decision")
    .option("--decision <word>", "allow, deny, admit, audit or system")
    .option("--lineage <namespace/name>", "only what concerns objects of this LineageRecord");
}

function filterOf(options: FilterOptions, nowMs: number): AuditEventFilter {
  const { cluster = "", subject = "", action = "", decision = "", lineage = "", since, until } = options;
  return create(AuditEventFilterSchema, {
    cluster,
    subject,
    action,
    decision,
    lineage,
    ...(since !== undefined && { since: timestampFromMs(timeFlag("--since", since, nowMs)) }),
    ...(until !== undefined && { until: timestampFromMs(timeFlag("--until", until, nowMs)) }),
  });
}

/** Reads `90s`, `15m`, `2h`, `7d` before now, or RFC 3339. */
function timeFlag(flag: string, text: string, nowMs: number): number {
  const relative = /^(\d{1,6})([smhd])$/.exec(text);
  const unit = UNITS[relative?.[2] ?? ""];
  const at = unit === undefined ? Date.parse(text) : nowMs - Number(relative?.[1]) * unit;
  if (Number.isFinite(at)) return at;
  throw new UsageError(
    `${flag} must be a duration such as 15m or 7d, or an RFC 3339 time, found ${JSON.stringify(text)}`,
  );
}

function countFlag(flag: string, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (Number.isSafeInteger(value) && value >= 0 && value <= max) return value;
    throw new UsageError(`${flag} must be a whole number of at most ${max}, found ${JSON.stringify(text)}`);
  };
}

/** `seamctl audit query|tail|verify|quarantine`. */
export function auditCommands(program: Command, context: CommandContext): void {
  const audit = program
    .command("audit")
    .description("search, follow and verify the audit log of the fleet")
    .addHelpText("after", "\nExamples:\n  seamctl audit query --decision deny\n  seamctl audit verify");
  queryCommand(audit, context);
  tailCommand(audit, context);
  verifyCommand(audit, context);
  quarantineCommands(audit, context);
  auditLogCommand(audit, context);
}

function queryCommand(audit: Command, context: CommandContext): void {
  withFilter(audit.command("query").description("search the log, newest first"))
    .option("--since <time>", "stored at or after: a duration before now (15m, 2h, 7d) or RFC 3339")
    .option("--until <time>", "stored before, likewise")
    .option("--limit <n>", "print at most so many events", countFlag("--limit", MAX_LIMIT), 100)
    .addHelpText(
      "after",
      "\nExamples:\n  seamctl audit query --decision deny --since 1h\n  seamctl audit query --cluster tenant-1 --subject system:serviceaccount:hello:hello -o json",
    )
    .action(async (options: FilterOptions & { readonly limit: number }) => {
      const filter = filterOf(options, context.clock.now());
      const events: AuditLogEvent[] = [];
      let nextPageToken = "";
      await withAudit(options, async (client) => {
        do {
          const pageSize = Math.min(PAGE, options.limit - events.length);
          const request = { filter, pageSize, pageToken: nextPageToken };
          const page = await client.queryEvents(request, { signal: context.signal });
          events.push(...page.events);
          ({ nextPageToken } = page);
        } while (nextPageToken !== "" && events.length < options.limit);
      });
      const answer = create(QueryEventsResponseSchema, { events, nextPageToken });
      if (options.output === "json") context.output.out(messageJson(QueryEventsResponseSchema, answer));
      else if (events.length === 0) context.output.out("no events");
      else context.output.out(renderTable(COLUMNS, events));
      if (nextPageToken !== "") context.output.err(`more events; raise --limit (${options.limit})`);
    });
}

function tailCommand(audit: Command, context: CommandContext): void {
  withFilter(audit.command("tail").description("follow the log until Ctrl-C"))
    .option("--last <n>", "print so many earlier events first", countFlag("--last", PAGE), 10)
    .option("--position-file <path>", "keep the place in this file, and go on there when started again")
    .addHelpText(
      "after",
      "\nA lost connection is made again, and the log goes on where it was.\n\nExamples:\n  seamctl audit tail\n  seamctl audit tail --decision deny --last 0 -o json\n  seamctl audit tail --position-file /var/lib/export/position -o json",
    )
    .action(async (options: TailOptions) => {
      const filter = filterOf(options, context.clock.now());
      let resumeToken = options.positionFile === undefined ? "" : await readPosition(options.positionFile);
      const follow = (): Promise<void> =>
        withAudit(options, async (client) => {
          const request = { filter, last: options.last, resumeToken };
          for await (const { events, position } of client.tailEvents(request, { signal: context.signal })) {
            for (const event of events)
              context.output.out(options.output === "json" ? messageJson(AuditLogEventSchema, event) : lineOf(event));
            resumeToken = position;
            if (options.positionFile !== undefined) await writePosition(options.positionFile, position);
          }
        });
      while (!context.signal.aborted) {
        try {
          await follow();
        } catch (error) {
          const lost = error instanceof GrpcStatusError && error.code === Status.UNAVAILABLE;
          if (context.signal.aborted || !lost || resumeToken === "") throw error;
          context.output.err(`connection lost (${error.details}); going on in ${RECONNECT_MS / 1_000} s`);
        }
        await context.clock.sleep(RECONNECT_MS, context.signal).catch(() => {
          // Ctrl-C
        });
      }
    });
}

interface TailOptions extends FilterOptions {
  readonly last: number;
  readonly positionFile?: string;
}

/** Time before a lost connection is made again, milliseconds. */
const RECONNECT_MS = 2_000;

/** The place of an earlier tail; empty when there was none. */
async function readPosition(path: string): Promise<string> {
  try {
    return (await readFile(path, "utf8")).trim();
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return "";
    throw new UsageError(`--position-file ${path} cannot be read: ${errorMessage(error)}`);
  }
}

/** Replaces the file at once: a crash leaves the place before or after, never half of one. */
async function writePosition(path: string, position: string): Promise<void> {
  try {
    await writeFile(`${path}.new`, `${position}\n`);
    await rename(`${path}.new`, path);
  } catch (error) {
    throw new UsageError(`--position-file ${path} cannot be written: ${errorMessage(error)}`);
  }
}

/** A line of its own: what follows is not known, so nothing can be aligned with it. */
function lineOf(event: AuditLogEvent): string {
  return COLUMNS.map(({ value }) => value(event)).join("  ");
}

function verifyCommand(audit: Command, context: CommandContext): void {
  withRead(audit.command("verify").description("check every hash and link of the log, cluster by cluster"))
    .option("--cluster <name>", "only this cluster")
    .addHelpText(
      "after",
      "\nExample:\n  seamctl audit verify\n\nExit code: 0 when every chain is whole, 1 when one has a break. Explained numbers are no break: records of the log name them.",
    )
    .action(async (options: ReadOptions & { readonly cluster?: string }) => {
      const chains: VerifyChainsResponse[] = [];
      await withAudit(options, async (client) => {
        const request = { cluster: options.cluster ?? "" };
        for await (const chain of client.verifyChains(request, { signal: context.signal })) chains.push(chain);
      });
      if (options.output === "json")
        for (const chain of chains) context.output.out(messageJson(VerifyChainsResponseSchema, chain));
      else if (chains.length === 0) context.output.out("no chains");
      else context.output.out(renderTable(chainColumns(context.clock.now()), chains));
      context.finish(chains.every(({ breaks }) => breaks === 0n) ? "yes" : "no");
    });
}

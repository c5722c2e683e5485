import type { Command } from "commander";
import {
  AuditLogStatus_State,
  AuditLogStatus_StateSchema,
  type GetStatusResponse,
  GetStatusResponseSchema,
} from "../../../api/gen/ontai/security/v1alpha1/permission_pb.ts";
import { errorMessage } from "../../../base/errors.ts";
import { withPermissions } from "../clients.ts";
import { type CommandContext, type ReadOptions, withRead } from "../context.ts";
import { readSettings } from "../mesh-file.ts";
import { enumWords, messageJson } from "../output.ts";
import { type Column, renderTable } from "../table.ts";

interface LogOptions extends ReadOptions {
  readonly cluster?: string;
}

/** What a tenant says of its log, or why it says nothing. */
interface TenantLog {
  readonly cluster: string;
  readonly status: GetStatusResponse | undefined;
  readonly problem: string;
}

const COLUMNS: readonly Column<TenantLog>[] = [
  { header: "cluster", value: ({ cluster }) => cluster },
  { header: "replica", value: ({ status }) => replicaText(status) },
  {
    header: "log",
    value: ({ status }) =>
      status?.auditLog === undefined ? "-" : enumWords(AuditLogStatus_StateSchema, status.auditLog.state),
  },
  { header: "waiting", value: ({ status }) => String(status?.auditLog?.waiting ?? "-"), align: "right" },
  { header: "missed", value: ({ status }) => String(status?.auditLog?.missed ?? "-"), align: "right" },
  { header: "damaged, put aside", value: ({ status }) => status?.auditLog?.corrupt || "-" },
  { header: "detail", value: ({ status, problem }) => problem || status?.auditLog?.detail || "-" },
];

function replicaText(status: GetStatusResponse | undefined): string {
  const replica = status?.replica;
  if (replica === undefined) return "-";
  return replica.leads ? `${replica.name} (leads)` : `${replica.name} (follows ${replica.leader || "nobody"})`;
}

/** True when somebody has to look at it. */
function isSound({ status }: TenantLog): boolean {
  const log = status?.auditLog;
  return log !== undefined && log.state === AuditLogStatus_State.OPEN && log.corrupt === "";
}

/** `seamctl audit log`: how the logs of the tenants stand, as the tenants themselves say. */
export function auditLogCommand(audit: Command, context: CommandContext): void {
  withRead(
    audit
      .command("log")
      .description("how the audit logs of the tenants stand: open, filling, not to be opened, damaged"),
  )
    .option("--cluster <name>", "one tenant (default: all of the mesh)")
    .addHelpText(
      "after",
      "\nAsks each tenant, hub or no hub. What cannot be opened is tried again every 30 s, with at most 1,000 events in memory;\nwhat was damaged was put aside, and the log goes on with an audit.gap for what could not be read.\n\nExamples:\n  seamctl audit log\n  seamctl audit log --cluster tenant-1 -o json\n\nExit code: 0 when every log is open and sound, 1 when one is not.",
    )
    .action(async (options: LogOptions) => {
      const clusters =
        options.cluster !== undefined || options.server !== undefined
          ? [options.cluster]
          : readSettings(options.dir).tenants.map(({ name }) => name);
      const logs = await Promise.all(clusters.map((cluster) => askedOf(options, cluster, context)));
      if (options.output === "json")
        for (const { status } of logs)
          if (status !== undefined) context.output.out(messageJson(GetStatusResponseSchema, status));
      if (options.output === "table") context.output.out(renderTable(COLUMNS, logs));
      context.finish(logs.every(isSound) ? "yes" : "no");
    });
}

async function askedOf(
  options: LogOptions,
  cluster: string | undefined,
  { signal }: CommandContext,
): Promise<TenantLog> {
  try {
    return await withPermissions(options, cluster, async (client, target) => {
      const status = await client.getStatus({ cluster: target.cluster }, { signal });
      return { cluster: status.cluster, status, problem: "" };
    });
  } catch (error) {
    if (cluster === undefined) throw error;
    return { cluster, status: undefined, problem: errorMessage(error) };
  }
}

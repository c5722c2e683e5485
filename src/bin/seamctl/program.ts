import { Command, CommanderError } from "commander";
import { SeamError, errorMessage } from "../../base/errors.ts";
import { GrpcStatusError } from "../../api/grpc/status-error.ts";
import { ApiStatusError } from "../../cluster/api-status-error.ts";
import { agentsCommand } from "./commands/agents.ts";
import { auditCommands } from "./commands/audit.ts";
import { clusterCommands } from "./commands/cluster.ts";
import { completionCommand } from "./commands/completion.ts";
import { driftCommand } from "./commands/drift.ts";
import { explainCommands } from "./commands/explain.ts";
import { listPermissionsCommand } from "./commands/list-permissions.ts";
import { packCommands } from "./commands/pack.ts";
import { permissionCommands } from "./commands/permissions.ts";
import { processCommands } from "./commands/process.ts";
import { rbacCommands } from "./commands/rbac.ts";
import { receiptsCommand } from "./commands/receipts.ts";
import { revokeCommands } from "./commands/revoke.ts";
import { simulateCommand } from "./commands/simulate.ts";
import { snapshotCommands } from "./commands/snapshot.ts";
import { topCommand } from "./commands/top.ts";
import { tourCommand } from "./commands/tour.ts";
import { upCommand } from "./commands/up.ts";
import { type CommandContext, UsageError } from "./context.ts";
import type { Verdict } from "./output.ts";

/** Exit codes of seamctl. */
export const EXIT = { yes: 0, no: 1, usage: 2 } as const;

/** The whole command tree. Every command reports through `context`; nothing here reads or ends the process. */
export function createProgram(context: CommandContext, version: string): Command {
  const program = new Command("seamctl")
    .description("run, watch and ask a Seam mesh")
    .version(version, "-V, --version")
    // `pack publish --version` is the pack's: after a command, options are that command's.
    .enablePositionalOptions()
    .configureOutput({
      writeOut: (text) => context.output.out(text.replace(/\n$/, "")),
      writeErr: (text) => context.output.err(text.replace(/\n$/, "")),
    })
    .addHelpText(
      "after",
      `
Examples:
  seamctl up                          a whole mesh on this machine; go on in a second terminal
  seamctl agents                      who is connected, and how far each has come
  seamctl top                         the fleet at a glance, those in trouble first
  seamctl explain tenant-1 hello      everything about one item on one agent
  seamctl can-i get pods -n hello --as system:serviceaccount:hello:hello --explain
  seamctl help explain                flags and examples of one command

Commands find the mesh by --dir (default .seam), or by --server with --ca, --cert and --key.
Exit codes: 0 yes or ok, 1 no or failed, 2 usage.`,
    )
    .showHelpAfterError("(add --help for the flags and examples)")
    .exitOverride();
  upCommand(program, context);
  agentsCommand(program, context);
  topCommand(program, context);
  receiptsCommand(program, context);
  driftCommand(program, context);
  revokeCommands(program, context);
  explainCommands(program, context);
  permissionCommands(program, context);
  listPermissionsCommand(program, context);
  simulateCommand(program, context);
  snapshotCommands(program, context);
  rbacCommands(program, context);
  auditCommands(program, context);
  packCommands(program, context);
  clusterCommands(program, context);
  processCommands(program, context);
  tourCommand(program, context);
  completionCommand(program, context);
  return program;
}

/** Runs one command line and resolves with its exit code: 0 yes or ok, 1 no or failed, 2 usage. */
export async function runSeamctl(
  args: readonly string[],
  parts: Omit<CommandContext, "finish">,
  version: string,
): Promise<number> {
  let code: number = EXIT.yes;
  const context: CommandContext = {
    ...parts,
    finish: (verdict: Verdict) => {
      code = EXIT[verdict];
    },
  };
  try {
    await createProgram(context, version).parseAsync([...args], { from: "user" });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.yes : EXIT.usage;
    if (parts.signal.aborted) return code;
    parts.output.err(`seamctl: ${explainFailure(error)}`);
    return error instanceof UsageError ? EXIT.usage : EXIT.no;
  }
}

/** One line for a person. A failed call says which and why; a bug keeps its name. */
function explainFailure(error: unknown): string {
  if (error instanceof SeamError || error instanceof UsageError) return error.message;
  if (error instanceof GrpcStatusError) return error.details;
  if (error instanceof ApiStatusError) return `the Kubernetes API refuses: ${error.message}`;
  if (error instanceof Error && "code" in error && error.code === "ENOSPC")
    return `no space left on the disk (${error.message}); nothing that was stored is lost, free some space and try again`;
  return errorMessage(error);
}

import { createWriteStream, existsSync, statSync } from "node:fs";
import { open, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import type { Command } from "commander";
import { SeamError } from "../../../base/errors.ts";
import { silentLog } from "../../../base/log.ts";
import { copyState } from "../../../cluster/embedded/backup/copy-state.ts";
import { restoreState } from "../../../cluster/embedded/backup/restore-state.ts";
import { type StateReport, verifyState } from "../../../cluster/embedded/backup/verify-state.ts";
import { connectKubernetes } from "../../../cluster/kubernetes/connect-kubernetes.ts";
import { BACKUP_PATH } from "../../../cluster/serve/backup-response.ts";
import { MeshLayout } from "../../../roles/mesh/layout.ts";
import { type CommandContext, parseFormat } from "../context.ts";
import { readSettings } from "../mesh-file.ts";
import { type Column, renderTable } from "../table.ts";
import { isUnreachable } from "../unreachable.ts";

interface StateOptions {
  readonly dir: string;
  readonly output: string;
}

const MANAGEMENT = "management";
const OBJECT_COLUMNS: readonly Column<readonly [string, number]>[] = [
  { header: "resource", value: ([resource]) => resource.replace(/^\//, "") },
  { header: "objects", value: ([, count]) => String(count), align: "right" },
];

/** `seamctl cluster backup|restore|verify`: the state of the embedded clusters of a mesh. */
export function clusterCommands(program: Command, context: CommandContext): void {
  const cluster = program
    .command("cluster")
    .description("back up, restore and verify the state of embedded clusters")
    .addHelpText(
      "after",
      `
Examples:
  seamctl cluster backup management --to management.backup
  seamctl cluster verify management.backup
  seamctl cluster restore management --from management.backup

A backup is one file with every object of one embedded cluster, its Secrets too: keep it as safe as the cluster.`,
    );
  backupCommand(cluster, context);
  restoreCommand(cluster, context);
  verifyCommand(cluster, context);
}

function withState(command: Command): Command {
  return command
    .option("--dir <directory>", "state directory of the mesh", ".seam")
    .option("-o, --output <format>", "table or json", parseFormat, "table");
}

/** Directory of the embedded cluster of a mesh process. @throws SeamError `ClusterUnknown` */
function clusterDirectory(name: string, dir: string): string {
  const layout = new MeshLayout(dir);
  const known = [MANAGEMENT, ...readSettings(dir).tenants.map((tenant) => tenant.name)];
  if (!known.includes(name)) {
    throw new SeamError({
      reason: "ClusterUnknown",
      object: `cluster ${name}`,
      expected: `must be one of ${known.join(", ")}`,
    });
  }
  return join(name === MANAGEMENT ? layout.management : layout.tenant(name), "cluster");
}

function summary(state: StateReport): string {
  const objects = Object.values(state.objects).reduce((sum, count) => sum + count, 0);
  return `${objects} objects at version ${state.version}, ${sizeText(state.bytes)}`;
}

function sizeText(bytes: number): string {
  return bytes < 2 ** 20 ? `${Math.ceil(bytes / 1024)} KiB` : `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}

function backupCommand(cluster: Command, context: CommandContext): void {
  withState(
    cluster.command("backup").description("copy the state of a cluster into one file, consistent, also while it works"),
  )
    .argument("<cluster>", "management or a tenant")
    .requiredOption("--to <file>", "file to write; must not exist")
    .addHelpText("after", "\nExample:\n  seamctl cluster backup tenant-1 --to tenant-1.backup")
    .action(async (name: string, options: StateOptions & { readonly to: string }) => {
      const { to } = options;
      const directory = clusterDirectory(name, options.dir);
      if (existsSync(to)) {
        throw new SeamError({
          reason: "FileExists",
          object: to,
          expected: "must not exist: a backup overwrites nothing",
          remedy: "name another file with --to",
        });
      }
      try {
        await download(name, options.dir, to, context);
      } catch (error) {
        if (!isUnreachable(error)) throw error;
        await copyState(directory, to); // it does not run, or this says which process holds it
      }
      const state = verifyState(to);
      report(context, options, state, `${name}: ${summary(state)}, in ${to}`);
    });
}

/** The file appears only when it is whole and on the disk. */
async function download(name: string, dir: string, to: string, context: CommandContext): Promise<void> {
  const { clock, random, signal } = context;
  const kubeconfigPath = new MeshLayout(dir).kubeconfig;
  const connection = await connectKubernetes({
    kubeconfigPath,
    context: name,
    userAgent: "seamctl",
    clock,
    random,
    log: silentLog,
  });
  const partial = `${to}.partial`;
  try {
    await pipeline(await connection.read(BACKUP_PATH, signal), createWriteStream(partial, { mode: 0o600 }), { signal });
    for (const path of [partial, dirname(partial)]) {
      const file = await open(path);
      await file.sync();
      await file.close();
    }
    await rename(partial, to);
  } finally {
    await rm(partial, { force: true });
    await connection.close();
  }
}

function restoreCommand(cluster: Command, context: CommandContext): void {
  withState(
    cluster.command("restore").description("put a backup in the place of the state of a cluster that does not run"),
  )
    .argument("<cluster>", "management or a tenant")
    .requiredOption("--from <file>", "a file that `seamctl cluster backup` wrote")
    .addHelpText(
      "after",
      `
Example:
  seamctl process hold tenant-1
  seamctl cluster restore tenant-1 --from tenant-1.backup
  seamctl process release tenant-1

The former state stays beside the new one. Versions jump ahead, so that every watch begins anew.`,
    )
    .action((name: string, options: StateOptions & { readonly from: string }) => {
      const done = restoreState(options.from, clusterDirectory(name, options.dir), context.clock);
      if (options.output === "json") {
        context.output.out(JSON.stringify(done, undefined, 2));
        return;
      }
      context.output.out(`${name}: restored ${summary(done.state)}; goes on from version ${done.version}`);
      if (done.previous !== undefined) context.output.out(`the former state is in ${done.previous}`);
    });
}

function verifyCommand(cluster: Command, context: CommandContext): void {
  withState(cluster.command("verify").description("check a backup, or the state of a cluster that does not run"))
    .argument("<backup>", "a backup file, or management or a tenant")
    .addHelpText(
      "after",
      "\nExamples:\n  seamctl cluster verify management.backup\n  seamctl cluster verify tenant-1 -o json\n\nExit code 1 when something is wrong.",
    )
    .action((what: string, options: StateOptions) => {
      const file = existsSync(what) && statSync(what).isFile();
      const state = verifyState(file || what.includes("/") ? what : clusterDirectory(what, options.dir));
      const sound = state.problems.length === 0;
      report(context, options, state, `${what}: ${summary(state)}: ${sound ? "sound" : "NOT sound"}`);
      for (const problem of options.output === "json" ? [] : state.problems) context.output.out(`  ${problem}`);
      context.finish(sound ? "yes" : "no");
    });
}

function report(context: CommandContext, options: StateOptions, state: StateReport, line: string): void {
  if (options.output === "json") {
    context.output.out(JSON.stringify(state, undefined, 2));
    return;
  }
  context.output.out(renderTable(OBJECT_COLUMNS, Object.entries(state.objects)));
  context.output.out(line);
}

import type { Command } from "commander";
import type { Cluster } from "../../../cluster/cluster.ts";
import {
  PERMISSION_KINDS,
  type PermissionObject,
  type PermissionChange,
  isPermissionObject,
} from "../../../governance/engine/permission-object.ts";
import {
  type Simulation,
  changesDecisions,
  gainsAnything,
  refusedObjects,
  simulate,
} from "../../../governance/simulation/simulate.ts";
import { type CommandContext, UsageError, parseFormat } from "../context.ts";
import { type KubernetesOptions, withManagement, withManagementFlags } from "../kubernetes.ts";
import { type ObjectInFile, readObjectFiles } from "../object-files.ts";
import { readPermissionWorld } from "../permission-world.ts";
import { type Proposal, namespacesOf, parseRemoval, readProposal } from "../proposal.ts";
import { withScratchCluster } from "../scratch-cluster.ts";
import { simulationText } from "../simulation-text.ts";

/** What makes `simulate` answer 1, besides an object that is refused. */
const FAIL_ON = ["any", "gain", "refused"] as const;

interface SimulateOptions extends KubernetesOptions {
  readonly filename: readonly string[];
  readonly base: readonly string[];
  readonly delete: readonly string[];
  readonly failOn: string;
  readonly output: string;
}

function collect(value: string, previous: readonly string[]): readonly string[] {
  return [...previous, value];
}

/** `seamctl simulate`: what a change of permissions would do, before it is applied. */
export function simulateCommand(program: Command, context: CommandContext): void {
  withManagementFlags(
    program
      .command("simulate")
      .description("what would change for whom, on which cluster, if these permission objects were applied"),
  )
    .option(
      "-f, --filename <path>",
      "file or directory with the proposed objects, - for standard input; repeatable",
      collect,
      [],
    )
    .option("--delete <kind/namespace/name>", "as if this object were deleted; repeatable", collect, [])
    .option("--base <path>", "compare with the objects of these files instead of a cluster; repeatable", collect, [])
    .option(
      "--fail-on <what>",
      `exit code 1 for: ${FAIL_ON.join(", ")} (any: some decision changes; gain: somebody may do more)`,
      "any",
    )
    .option("-o, --output <format>", "table or json", parseFormat, "table")
    .addHelpText(
      "after",
      `
Examples:
  seamctl simulate -f profile.yaml
  seamctl simulate -f permissions/ --fail-on gain
  seamctl simulate --delete RBACProfile/seam-system/hello
  seamctl simulate --base main/permissions -f permissions/     without any cluster, for a pull request

Nothing is written. Objects are checked by the API server (or by the same rules with --base), judged by the permission engine, and
every decision of every cluster is compared. Exit code: 0 when nothing that --fail-on names happens, 1 when it does or when an
object is refused, 2 usage.`,
    )
    .action(async (options: SimulateOptions) => {
      if (options.filename.length + options.delete.length === 0)
        throw new UsageError("simulate needs -f with proposed objects or --delete");
      if (!FAIL_ON.some((word) => word === options.failOn))
        throw new UsageError(`--fail-on must be one of ${FAIL_ON.join(", ")}, found ${JSON.stringify(options.failOn)}`);
      const removals = options.delete.map(parseRemoval);
      const files = await readObjectFiles(options.filename);
      const judged = await (options.base.length > 0
        ? simulateOnFiles(options, files, removals, context)
        : withManagement(options, context, (cluster) => simulateOn(cluster, files, removals, context)));
      report(judged, options, context);
    });
}

interface Judged {
  readonly simulation: Simulation;
  readonly proposal: Proposal;
}

async function simulateOn(
  cluster: Cluster,
  files: readonly ObjectInFile[],
  removals: readonly PermissionChange[],
  context: CommandContext,
): Promise<Judged> {
  const [world, proposal] = await Promise.all([readPermissionWorld(cluster), readProposal(cluster, files)]);
  const simulation = simulate(world, [...proposal.changes, ...removals], context.clock.now());
  return { simulation, proposal };
}

async function simulateOnFiles(
  options: SimulateOptions,
  files: readonly ObjectInFile[],
  removals: readonly PermissionChange[],
  context: CommandContext,
): Promise<Judged> {
  const base: PermissionObject[] = [];
  for (const { object } of await readObjectFiles(options.base)) if (isPermissionObject(object)) base.push(object);
  const namespaces = namespacesOf([...base, ...files.map(({ object }) => object)]);
  return withScratchCluster(namespaces, context, async (cluster) => {
    for (const object of base) {
      const type = PERMISSION_KINDS.find(({ kind }) => kind === object.kind);
      if (type !== undefined) await cluster.create(type, object);
    }
    return simulateOn(cluster, files, removals, context);
  });
}

function report({ simulation, proposal }: Judged, options: SimulateOptions, context: CommandContext): void {
  for (const text of proposal.ignored) context.output.err(`ignored: ${text} grants nothing`);
  if (options.output === "json") {
    const { objects, clusters } = simulation;
    context.output.out(JSON.stringify({ refused: proposal.refused, objects, clusters }, undefined, 2));
  } else context.output.out(simulationText(simulation, proposal));
  const refused = proposal.refused.length + refusedObjects(simulation).length > 0;
  const failed =
    options.failOn === "any" ? changesDecisions(simulation) : options.failOn === "gain" && gainsAnything(simulation);
  context.finish(refused || failed ? "no" : "yes");
}

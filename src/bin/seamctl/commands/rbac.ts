import { join } from "node:path";
import type { Command } from "commander";
import { stringify } from "yaml";
import { assertClusterName } from "../../../api/names.ts";
import type { KubeObject } from "../../../api/object.ts";
import { type ImportNote, type ImportedRbac, importRbac } from "../../../permissions/intake/import-rbac.ts";
import { placeText } from "../../../permissions/reach/compare-reach.ts";
import { type CommandContext, UsageError } from "../context.ts";
import { type ImportPlan, applyImport, planImport, rbacOfFiles, readRbac } from "../import-plan.ts";
import { type KubernetesOptions, withContext, withManagement } from "../kubernetes.ts";
import { readObjectFiles } from "../object-files.ts";
import { renderTable } from "../table.ts";

interface ImportOptions {
  readonly cluster: string;
  readonly dir: string;
  readonly filename: readonly string[];
  readonly fromKubeconfig?: string;
  readonly fromContext?: string;
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly dryRun?: boolean;
  readonly prune?: boolean;
  readonly output: string;
}

function collect(value: string, previous: readonly string[]): readonly string[] {
  return [...previous, value];
}

function parseOutput(text: string): string {
  if (text === "table" || text === "json" || text === "yaml") return text;
  throw new UsageError(`-o must be table, yaml or json, found ${JSON.stringify(text)}`);
}

/** `seamctl rbac import`: takes over what an existing cluster grants. */
export function rbacCommands(program: Command, context: CommandContext): void {
  const rbac = program
    .command("rbac")
    .description("take over the RBAC of an existing cluster")
    .addHelpText("after", "\nExample:\n  seamctl rbac import --cluster tenant-1 --dry-run");
  rbac
    .command("import")
    .description(
      "make PermissionSets and RBACProfiles of a cluster's roles and bindings, and say what cannot be expressed",
    )
    .requiredOption("--cluster <name>", "governed cluster; the objects go to its namespace on the management cluster")
    .option(
      "-f, --filename <path>",
      "read roles and bindings from files instead of the cluster; repeatable",
      collect,
      [],
    )
    .option("--from-kubeconfig <file>", "read them by this kubeconfig (default: the mesh's, context --cluster)")
    .option("--from-context <name>", "context of --from-kubeconfig")
    .option("--dir <directory>", "state directory of the mesh", ".seam")
    .option("--kubeconfig <file>", "management cluster by a kubeconfig instead of the mesh in --dir")
    .option("--context <name>", "context of --kubeconfig")
    .option("--dry-run", "write nothing")
    .option("--prune", "also delete what an earlier import made and the cluster's RBAC does not have any more")
    .option("-o, --output <format>", "table, yaml (the objects) or json (objects and report)", parseOutput, "table")
    .addHelpText(
      "after",
      `
Examples:
  seamctl rbac import --cluster tenant-1 --dry-run
  seamctl rbac import --cluster tenant-1 --dry-run -o yaml > imported.yaml
  kubectl get roles,rolebindings,clusterroles,clusterrolebindings -A -o yaml | seamctl rbac import --cluster edge -f - --dry-run
  seamctl simulate -f imported.yaml                            what the imported objects would grant

The cluster itself is only read. Importing again changes nothing while its RBAC is the same. Exit code: 0, or 1 when some right
could not be taken over or an object was refused (then nothing was written), 2 usage.`,
    )
    .action(async (options: ImportOptions) => {
      assertClusterName(options.cluster);
      const imported = importRbac(options.cluster, await source(options, context));
      const plan = options.dryRun === true ? undefined : await applied(options, context, imported);
      report(imported, plan, options, context);
      context.finish(imported.notes.some(({ effect }) => effect === "lost") ? "no" : "yes");
    });
}

async function source(options: ImportOptions, context: CommandContext) {
  if (options.filename.length > 0) return rbacOfFiles(await readObjectFiles(options.filename));
  const from: KubernetesOptions =
    options.fromKubeconfig === undefined && options.fromContext === undefined
      ? { dir: options.dir, kubeconfig: join(options.dir, "kubeconfig"), context: options.cluster }
      : {
          dir: options.dir,
          ...(options.fromKubeconfig !== undefined && { kubeconfig: options.fromKubeconfig }),
          ...(options.fromContext !== undefined && { context: options.fromContext }),
        };
  return withContext(from, context, readRbac);
}

function applied(options: ImportOptions, context: CommandContext, imported: ImportedRbac): Promise<ImportPlan> {
  return withManagement(options, context, async (cluster) => {
    const plan = await planImport(cluster, options.cluster, imported);
    await applyImport(cluster, plan, options.prune === true);
    return plan;
  });
}

function report(
  imported: ImportedRbac,
  plan: ImportPlan | undefined,
  options: ImportOptions,
  context: CommandContext,
): void {
  const { sets, profiles, notes } = imported;
  const { output } = context;
  const summary = summaryText(imported, plan, options.prune === true);
  // What Kubernetes binds for itself is counted in the summary; nobody can or should take it over.
  const told = notes.filter(({ reason }) => reason !== "SystemSubject");
  switch (options.output) {
    case "json":
      output.out(JSON.stringify({ sets, profiles, notes }, undefined, 2));
      return;
    case "yaml":
      for (const object of [...sets, ...profiles]) output.out(`---\n${stringify(object).trimEnd()}`);
      for (const note of notes) output.err(noteText(note));
      output.err(summary);
      return;
    default:
      if (profiles.length > 0) output.out(`${profilesTable(imported, plan)}\n`);
      if (told.length > 0) output.out(`${notesTable(told)}\n`);
      output.out(summary);
  }
}

interface Row {
  readonly principal: string;
  readonly set: string;
  readonly where: string;
  readonly from: string;
  readonly action: string;
}

function profilesTable({ sets, profiles }: ImportedRbac, plan: ImportPlan | undefined): string {
  const origin = new Map(sets.map(({ metadata, spec }) => [metadata.name, originOf(spec.description ?? "")]));
  const actionOf = new Map((plan?.steps ?? []).map(({ object, action }) => [objectKey(object), action]));
  const rows = profiles.flatMap((profile): readonly Row[] =>
    profile.spec.permissionDeclarations.map(({ permissionSetRef, scope, namespaces = [] }) => ({
      principal: profile.spec.principalRef,
      set: permissionSetRef,
      where: placeText({ scope, namespaces }, 3),
      from: origin.get(permissionSetRef) ?? "",
      action: actionOf.get(objectKey(profile)) ?? "would import",
    })),
  );
  return renderTable(
    [
      { header: "principal", value: (row: Row) => row.principal },
      { header: "permission set", value: (row) => row.set },
      { header: "where", value: (row) => row.where },
      { header: "from", value: (row) => row.from },
      { header: "action", value: (row) => row.action },
    ],
    rows,
  );
}

/** `Role web/reader` of `Imported from Role web/reader of c1.` */
function originOf(description: string): string {
  return /^Imported from (.*) of [^ ]+\.$/.exec(description)?.[1] ?? "";
}

function objectKey({ kind, metadata }: KubeObject): string {
  return `${kind} ${metadata.name}`;
}

function notesTable(notes: readonly ImportNote[]): string {
  const rank = { lost: 0, changed: 1, ignored: 2 } as const;
  return renderTable(
    [
      { header: "effect", value: (note: ImportNote) => note.effect },
      { header: "reason", value: (note) => note.reason },
      { header: "object", value: (note) => note.object },
      { header: "why", value: (note) => (note.remedy === "" ? note.detail : `${note.detail}; ${note.remedy}`) },
    ],
    [...notes].sort((a, b) => rank[a.effect] - rank[b.effect]),
  );
}

function noteText({ effect, reason, object, detail, remedy }: ImportNote): string {
  return `${effect}: ${reason}: ${object}: ${detail}${remedy === "" ? "" : `; ${remedy}`}`;
}

function summaryText(
  { sets, profiles, notes, bindings, grants }: ImportedRbac,
  plan: ImportPlan | undefined,
  prune: boolean,
): string {
  const count = (effect: ImportNote["effect"]): number => notes.filter((note) => note.effect === effect).length;
  const system = notes.filter(({ reason }) => reason === "SystemSubject").length;
  const done = (action: string): number => (plan?.steps ?? []).filter((step) => step.action === action).length;
  return [
    `${bindings} bindings: ${grants} grants become ${profiles.length} profiles over ${sets.length} permission sets; ${count("lost")} lost, ${count("changed")} changed, ${count("ignored") - system} ignored, ${system} of Kubernetes itself left out`,
    ...(plan === undefined
      ? ["nothing was written"]
      : [
          `${done("create")} objects created, ${done("change")} changed, ${done("keep")} as they were`,
          ...(plan.stale.length > 0
            ? [
                prune
                  ? `${plan.stale.length} of an earlier import deleted`
                  : `${plan.stale.length} of an earlier import are not in the RBAC any more: ${plan.stale
                      .slice(0, 5)
                      .map(({ object }) => objectKey(object))
                      .join(", ")}; delete them with --prune`,
              ]
            : []),
        ]),
  ].join("\n");
}

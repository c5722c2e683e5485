import type { Command } from "commander";
import { PackDelivery } from "../../../api/kinds/pack-delivery.ts";
import { NAMESPACES } from "../../../api/names.ts";
import { problemText } from "../../../packs/artifact/pack-problem.ts";
import { openOciLayout } from "../../../packs/store/oci-layout.ts";
import { MeshLayout } from "../../../roles/mesh/layout.ts";
import { ALL_TENANTS, type PublishRequest, publishPack } from "../../../roles/publish-pack.ts";
import { type CommandContext, parseFormat } from "../context.ts";
import { withManagement } from "../kubernetes.ts";
import { age, renderTable } from "../table.ts";

interface PackOptions {
  readonly dir: string;
  readonly output: string;
}

/** What `--to` names: clusters, each word one or several with commas between, or `all`. */
export function targetsOf(to: readonly string[]): PublishRequest["to"] {
  const named = to.flatMap((entry) => entry.split(",")).filter((entry) => entry !== "");
  return named.includes(ALL_TENANTS) ? ALL_TENANTS : [...new Set(named)];
}

/** `seamctl pack publish` and `seamctl pack list`. */
export function packCommands(program: Command, context: CommandContext): void {
  const pack = program
    .command("pack")
    .description("publish packs and see where they are")
    .addHelpText("after", "\nExample:\n  seamctl pack list");
  pack
    .command("publish")
    .description("pack a directory of manifests, store it, and register its delivery to clusters")
    .argument("<directory>", "YAML manifests; subfolders rbac/, cluster-scoped/ and workload/ pin a bucket")
    .requiredOption("--name <name>", "base pack name, the same across versions")
    .requiredOption("--version <version>", "version, for example v1.2.0; immutable once published")
    .requiredOption("--to <clusters...>", "clusters it is for, or `all`: every tenant, also one that joins later")
    .option("--dir <directory>", "state directory of the mesh", ".seam")
    .option("-o, --output <format>", "table or json (the PackDelivery)", parseFormat, "table")
    .addHelpText(
      "after",
      "\nExamples:\n  seamctl pack publish examples/packs/hello/v2 --name hello --version v2.0.0 --to all\n  seamctl pack publish ./agent --name agent --version v1.0.0 --to tenant-1 tenant-3",
    )
    .action(
      async (
        directory: string,
        options: PackOptions & { readonly name: string; readonly version: string; readonly to: readonly string[] },
      ) => {
        const layout = new MeshLayout(options.dir);
        const store = await openOciLayout(layout.packs);
        const request = { directory, name: options.name, version: options.version, to: targetsOf(options.to) };
        const published = await withManagement(options, context, (cluster) => publishPack(request, store, cluster));
        for (const warning of published.pack.warnings) context.output.err(`warning: ${problemText(warning)}`);
        if (options.output === "json") {
          context.output.out(JSON.stringify(published.delivery, undefined, 2));
          return;
        }
        const { metadata, spec } = published.delivery;
        context.output.out(
          `${published.created ? "published" : "already published"} PackDelivery ${NAMESPACES.seam}/${metadata.name}: ${published.pack.documents.length} objects, ${spec.registryRef.digest}, to ${request.to === ALL_TENANTS ? "every tenant" : request.to.join(", ")}`,
        );
        context.output.out(`follow it with: seamctl receipts --pack ${metadata.name}`);
      },
    );
  pack
    .command("list")
    .description("list the deliveries of packs")
    .option("--dir <directory>", "state directory of the mesh", ".seam")
    .option("-o, --output <format>", "table or json (the PackDeliveries)", parseFormat, "table")
    .addHelpText("after", "\nExample:\n  seamctl pack list")
    .action(async (options: PackOptions) => {
      const list = await withManagement(options, context, (cluster) =>
        cluster.list(PackDelivery, { namespace: NAMESPACES.seam }),
      );
      if (options.output === "json") {
        context.output.out(JSON.stringify(list.items, undefined, 2));
        return;
      }
      const now = context.clock.now();
      if (list.items.length === 0) {
        context.output.out(
          "no packs; publish one with: seamctl pack publish DIRECTORY --name NAME --version VERSION --to all",
        );
        return;
      }
      context.output.out(
        renderTable(
          [
            { header: "name", value: (delivery) => delivery.metadata.name },
            { header: "base", value: (delivery) => delivery.spec.basePackName ?? delivery.metadata.name },
            { header: "version", value: (delivery) => delivery.spec.version },
            { header: "signed", value: (delivery) => (delivery.status?.signed === true ? "yes" : "no") },
            { header: "delivered", value: (delivery) => delivery.status?.deliveredSummary ?? "-" },
            { header: "state", value: stateText },
            {
              header: "age",
              value: (delivery) => age(now - Date.parse(delivery.metadata.creationTimestamp ?? "")),
              align: "right",
            },
          ],
          list.items,
        ),
      );
    });
}

function stateText(delivery: PackDelivery): string {
  const conditions = delivery.status?.conditions ?? [];
  const on = (type: string) => conditions.find((condition) => condition.type === type && condition.status === "True");
  const refused = on("SigningRefused");
  if (refused !== undefined) return `refused: ${refused.reason}`;
  for (const type of ["Revoked", "Deleting", "Superseded", "Delivered", "Available", "SignaturePending"]) {
    const condition = on(type);
    if (condition !== undefined) return condition.reason;
  }
  return "-";
}

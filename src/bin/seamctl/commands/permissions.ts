import type { Command } from "commander";
import {
  CheckPermissionResponseSchema,
  DecisionCodeSchema,
  ExplainDecisionResponseSchema,
  FreshnessSchema,
  type ResponseMeta,
  SubjectKindSchema,
  WhoCanDoResponseSchema,
} from "../../../api/gen/ontai/security/v1alpha1/permission_pb.ts";
import { withPermissions } from "../clients.ts";
import type { PermissionTarget } from "../mesh-file.ts";
import { type CommandContext, type ReadOptions, withRead } from "../context.ts";
import { enumName, enumWords, messageJson } from "../output.ts";
import { renderTable } from "../table.ts";

interface RequestOptions extends ReadOptions {
  readonly hub?: boolean;
  readonly cluster?: string;
  readonly as?: string;
  readonly asGroup: readonly string[];
  readonly namespace?: string;
  readonly subresource?: string;
  readonly explain?: boolean;
}

/** Splits `deployments.apps/web` into resource, group and name, as kubectl does. */
export function parseResource(text: string): {
  readonly resource: string;
  readonly apiGroup: string;
  readonly resourceName: string;
} {
  const slash = text.indexOf("/");
  const type = slash < 0 ? text : text.slice(0, slash);
  const dot = type.indexOf(".");
  return {
    resource: dot < 0 ? type : type.slice(0, dot),
    apiGroup: dot < 0 ? "" : type.slice(dot + 1),
    resourceName: slash < 0 ? "" : text.slice(slash + 1),
  };
}

function requestOf(verb: string, resource: string, options: RequestOptions) {
  const common = { verb, namespace: options.namespace ?? "", subresource: options.subresource ?? "" };
  return resource.startsWith("/") ? { verb, path: resource } : { ...common, ...parseResource(resource) };
}

/** What an answer rests on, for people. */
export function metaText(
  meta: ResponseMeta | undefined,
  { cluster, hub }: Pick<PermissionTarget, "cluster" | "hub">,
): string {
  if (meta === undefined) return "";
  const freshness = enumWords(FreshnessSchema, meta.freshness);
  if (!hub)
    return `answered by ${cluster || "the service"} from snapshot ${meta.snapshotVersion || "(none)"}, ${freshness}, ${meta.ageSeconds}s old`;
  if (!meta.pending && meta.snapshotVersion === "") return `answered by the hub: nothing is computed for ${cluster}`;
  const version = meta.pending
    ? "what is computed and not published yet (pending)"
    : `what is computed, in snapshot ${meta.snapshotVersion}`;
  return `answered by the hub for ${cluster} from ${version}, ${freshness}`;
}

function collect(value: string, previous: readonly string[]): readonly string[] {
  return [...previous, value];
}

/** Adds the flags that say which service is asked, about which cluster. */
export function withHub(command: Command): Command {
  return command
    .option("--cluster <name>", "tenant to ask (default: the first of the mesh)")
    .option("--hub", "ask the hub, which answers for every cluster by what it has computed; needs --cluster");
}

function withRequest(command: Command): Command {
  return withHub(withRead(command))
    .option("-n, --namespace <name>", "namespace of the request; absent asks cluster-wide")
    .option("--subresource <name>", "for example log or scale");
}

/** `seamctl can-i` and `seamctl who-can`: answered by the tenant, hub or no hub. */
export function permissionCommands(program: Command, context: CommandContext): void {
  withRequest(
    program
      .command("can-i")
      .description(
        "may a principal do this on a tenant? answered by the tenant from its last verified snapshot, or by the hub",
      )
      .argument("<verb>", "for example get or delete")
      .argument("<resource>", "resource, resource.group or resource/name; a path starting with / asks about a URL"),
  )
    .requiredOption("--as <principal>", "user, or system:serviceaccount:NAMESPACE:NAME")
    .option("--as-group <group>", "group of the principal; repeat for several", collect, [])
    .option("--explain", "also the rule that decides, or what came nearest")
    .addHelpText(
      "after",
      "\nExamples:\n  seamctl can-i delete pods -n hello --as system:serviceaccount:hello:hello\n  seamctl can-i get deployments.apps/web -n hello --as ada --cluster tenant-2 --explain\n  seamctl can-i get pods -n hello --as ada --cluster tenant-2 --hub     # by what the hub has computed, delivered or not\n\nExit code: 0 for yes, 1 for no.",
    )
    .action(async (verb: string, resource: string, options: RequestOptions) => {
      const principal = options.as ?? "";
      const request = { principal, groups: [...options.asGroup], ...requestOf(verb, resource, options) };
      await withPermissions(options, options.cluster, async (client, target) => {
        const { cluster } = target;
        if (options.explain === true) {
          const answer = await client.explainDecision({ ...request, cluster }, { signal: context.signal });
          if (options.output === "json") context.output.out(messageJson(ExplainDecisionResponseSchema, answer));
          else {
            context.output.out(
              `${answer.allowed ? "yes" : "no"}: ${answer.reason} [${enumName(DecisionCodeSchema, answer.code)}]`,
            );
            for (const match of answer.matched) {
              const source = match.rule?.source;
              context.output.out(
                `  granted by RBACProfile ${source?.profileNamespace ?? ""}/${source?.profileName ?? ""}, PermissionSet ${source?.permissionSet ?? ""}${source?.policy ? `, RBACPolicy ${source.policy}` : ""}`,
              );
            }
            for (const miss of answer.nearMisses) context.output.out(`  near miss: ${miss.detail}`);
            context.output.out(metaText(answer.meta, target));
          }
          context.finish(answer.allowed ? "yes" : "no");
          return;
        }
        const answer = await client.checkPermission({ ...request, cluster }, { signal: context.signal });
        if (options.output === "json") context.output.out(messageJson(CheckPermissionResponseSchema, answer));
        else {
          context.output.out(
            `${answer.allowed ? "yes" : "no"}: ${answer.reason} [${enumName(DecisionCodeSchema, answer.code)}]`,
          );
          context.output.out(metaText(answer.meta, target));
        }
        context.finish(answer.allowed ? "yes" : "no");
      });
    });

  withRequest(
    program
      .command("who-can")
      .description("who may do this on a tenant?")
      .argument("<verb>", "for example get or delete")
      .argument("<resource>", "resource, resource.group or resource/name; a path starting with / asks about a URL"),
  )
    .addHelpText(
      "after",
      "\nExamples:\n  seamctl who-can delete pods -n hello --cluster tenant-1\n  seamctl who-can delete pods -n hello --cluster tenant-1 --hub\n\nExit code: 0 when somebody can, 1 when nobody can.",
    )
    .action(async (verb: string, resource: string, options: RequestOptions) => {
      await withPermissions(options, options.cluster, async (client, target) => {
        const { cluster } = target;
        const answer = await client.whoCanDo(
          { ...requestOf(verb, resource, options), cluster },
          { signal: context.signal },
        );
        if (options.output === "json") context.output.out(messageJson(WhoCanDoResponseSchema, answer));
        else if (answer.subjects.length === 0) context.output.out("nobody");
        else {
          context.output.out(
            renderTable(
              [
                { header: "kind", value: (subject) => enumWords(SubjectKindSchema, subject.kind) },
                { header: "namespace", value: (subject) => subject.namespace || "-" },
                { header: "name", value: (subject) => subject.name },
                {
                  header: "where",
                  value: (subject) => (subject.namespaces.length > 0 ? subject.namespaces.join(",") : "everywhere"),
                },
                { header: "only names", value: (subject) => subject.conditionalNames.join(",") || "-" },
                { header: "via profile", value: (subject) => subject.viaProfile },
              ],
              answer.subjects,
            ),
          );
        }
        if (options.output === "table") context.output.out(metaText(answer.meta, target));
        context.finish(answer.subjects.length > 0 ? "yes" : "no");
      });
    });
}

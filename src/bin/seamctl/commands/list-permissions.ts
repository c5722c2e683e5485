import type { Command } from "commander";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import {
  BindingScope,
  DecisionCode,
  DecisionCodeSchema,
  ListPermissionsResponseSchema,
  type PermissionRule,
} from "../../../api/gen/ontai/security/v1alpha1/permission_pb.ts";
import { ruleText } from "../../../permissions/algebra/covers.ts";
import { placeText } from "../../../permissions/reach/compare-reach.ts";
import { withPermissions } from "../clients.ts";
import { withHub } from "./permissions.ts";
import { type CommandContext, type ReadOptions, withRead } from "../context.ts";
import { enumName, messageJson } from "../output.ts";
import { TableStream } from "../table.ts";

interface ListOptions extends ReadOptions {
  readonly hub?: boolean;
  readonly cluster?: string;
  readonly asGroup: readonly string[];
  readonly namespace?: string;
}

function collect(value: string, previous: readonly string[]): readonly string[] {
  return [...previous, value];
}

const COLUMNS = [
  { header: "where", value: (rule: PermissionRule) => placeText(scopeOf(rule)) },
  { header: "what", value: (rule: PermissionRule) => whatText(rule) },
  {
    header: "until",
    value: (rule: PermissionRule) => (rule.expiresAt === undefined ? "-" : timestampDate(rule.expiresAt).toISOString()),
  },
  {
    header: "as",
    value: (rule: PermissionRule) => (rule.subject === undefined ? "-" : rule.subject.name),
  },
  {
    header: "from",
    value: ({ source }: PermissionRule) =>
      `RBACProfile ${source?.profileNamespace ?? ""}/${source?.profileName ?? ""}, PermissionSet ${source?.permissionSet ?? ""}`,
  },
];

function scopeOf({ scope, namespaces }: PermissionRule) {
  return { scope: scope === BindingScope.NAMESPACED ? ("namespaced" as const) : ("cluster" as const), namespaces };
}

function whatText({ verbs, apiGroups, resources, resourceNames, nonResourceUrls }: PermissionRule): string {
  return ruleText({ verbs, apiGroups, resources, resourceNames, nonResourceURLs: nonResourceUrls });
}

/** `seamctl permissions`: everything a principal may do on a tenant, answered by the tenant. */
export function listPermissionsCommand(program: Command, context: CommandContext): void {
  withHub(
    withRead(
      program
        .command("permissions")
        .description("everything a principal may do on a tenant, with the profile that grants it")
        .argument("<principal>", "user, or system:serviceaccount:NAMESPACE:NAME"),
    ),
  )
    .option("-n, --namespace <name>", "only what applies in this namespace")
    .option("--as-group <group>", "group of the principal; repeat for several", collect, [])
    .addHelpText(
      "after",
      "\nExamples:\n  seamctl permissions system:serviceaccount:hello:hello\n  seamctl permissions ada --as-group team --cluster tenant-2 -n hello\n  seamctl permissions ada --cluster tenant-2 --hub\n\nExit code: 0 when there is something, 1 when there is nothing or no answer.",
    )
    .action(async (principal: string, options: ListOptions) => {
      await withPermissions(options, options.cluster, async (client, { cluster }) => {
        const table = new TableStream();
        let listed = 0;
        for (let pageToken = ""; ;) {
          const answer = await client.listPermissions(
            { principal, cluster, groups: [...options.asGroup], namespace: options.namespace ?? "", pageToken },
            { signal: context.signal },
          );
          listed += answer.rules.length;
          if (options.output === "json") context.output.out(messageJson(ListPermissionsResponseSchema, answer));
          else if (answer.rules.length > 0) context.output.out(table.print(COLUMNS, answer.rules));
          else if (listed === 0)
            context.output.out(
              answer.code === DecisionCode.ALLOWED
                ? "nothing"
                : `nothing: ${answer.reason} [${enumName(DecisionCodeSchema, answer.code)}]`,
            );
          pageToken = answer.nextPageToken;
          if (pageToken === "") break;
        }
        context.finish(listed > 0 ? "yes" : "no");
      });
    });
}

import type { Command } from "commander";
import {
  type ExplainItemResponse,
  ExplainItemResponseSchema,
  type RetryItemResponse,
  RetryItemResponseSchema,
  RetryItemResponse_Outcome,
} from "../../../api/gen/conductor/fleet/v1alpha1/fleet_pb.ts";
import { withFleet } from "../clients.ts";
import { type CommandContext, type ReadOptions, withRead } from "../context.ts";
import { messageJson, shortDigest, timeOf } from "../output.ts";
import { renderTable } from "../table.ts";

function renderExplanation(answer: ExplainItemResponse): string {
  const { item } = answer;
  const head = `${item?.kind ?? ""} ${item?.name ?? ""} on ${item?.cluster ?? ""}: version ${item?.version ?? 0n}, digest ${shortDigest(item?.digest ?? "")}, ${item?.size ?? 0n} bytes${item?.deleted === true ? ", to be removed" : ""}`;
  const steps = renderTable(
    [
      { header: "step", value: (step) => step.name },
      { header: "state", value: (step) => step.state },
      { header: "version", value: (step) => step.version || "-" },
      { header: "at", value: (step) => timeOf(step.at) },
      { header: "detail", value: (step) => step.detail },
    ],
    answer.steps,
  );
  const facts: readonly (readonly [string, string])[] = [
    ["connected", answer.connected ? "yes" : "no"],
    ["quarantined", quarantineText(answer)],
    ["last error", answer.lastError],
    ["next retry", answer.nextRetry === undefined ? "" : timeOf(answer.nextRetry)],
    ["last good", answer.lastGood],
    ["blocking", answer.blockingReason],
  ];
  const lines = facts.filter(([, value]) => value !== "").map(([name, value]) => `${`${name}:`.padEnd(13)} ${value}`);
  return [head, "", steps, "", ...lines].join("\n");
}

function quarantineText({ item, retryOrderedAt }: ExplainItemResponse): string {
  const ordered = retryOrderedAt === undefined ? "" : `retry ordered ${timeOf(retryOrderedAt)}, not carried out yet`;
  if (item?.quarantined !== true) return ordered === "" ? "" : `no; ${ordered}`;
  return `yes; ${ordered === "" ? `lift with: seamctl retry ${item.cluster} ${item.kind}/${item.name}` : ordered}`;
}

/** An older hub says only whether it lifted something. */
function isOrdered({ lifted, outcome }: RetryItemResponse): boolean {
  return lifted || outcome === RetryItemResponse_Outcome.WAITS_FOR_REFUSAL;
}

/** Splits `Kind/name` or a bare name. */
function splitItem(text: string): { readonly kind: string; readonly name: string } {
  const slash = text.indexOf("/");
  return slash < 0 ? { kind: "", name: text } : { kind: text.slice(0, slash), name: text.slice(slash + 1) };
}

/** `seamctl explain` and `seamctl retry`. */
export function explainCommands(program: Command, context: CommandContext): void {
  withRead(
    program
      .command("explain")
      .description(
        "everything known about one item on one agent: desired, offered, received, verified, applied, healthy",
      )
      .argument("<agent>", "cluster")
      .argument("<item>", "item as `name` or `Kind/name`; for packs also the PackDelivery or base pack name"),
  )
    .addHelpText(
      "after",
      "\nExamples:\n  seamctl explain tenant-2 hello\n  seamctl explain tenant-2 PermissionSnapshot/snapshot-tenant-2\n\nExit code: 0 when the item is healthy, 1 when something blocks it.",
    )
    .action(async (cluster: string, item: string, options: ReadOptions) => {
      const answer = await withFleet(options, (client) =>
        client.explainItem({ cluster, ...splitItem(item) }, { signal: context.signal }),
      );
      context.output.out(
        options.output === "json" ? messageJson(ExplainItemResponseSchema, answer) : renderExplanation(answer),
      );
      context.finish(answer.blockingReason === "" ? "yes" : "no");
    });
  withRead(
    program
      .command("retry")
      .description("lift the quarantine of an item on an agent and offer it again")
      .argument("<agent>", "cluster")
      .argument("<item>", "item as `name` or `Kind/name`"),
  )
    .addHelpText(
      "after",
      "\nThe order is durable when this answers. An agent that is away gets it when it is back, from whichever replica;\nwhat is not refused yet is tried once more if it is refused within ten minutes. Asking twice is asking once.\n\nExamples:\n  seamctl retry tenant-2 hello\n  seamctl retry tenant-2 PermissionSnapshot/snapshot-tenant-2 -o json\n\nExit code: 0 when a retry is ordered, 1 when there is nothing to retry.",
    )
    .action(async (cluster: string, item: string, options: ReadOptions) => {
      const answer = await withFleet(options, (client) =>
        client.retryItem({ cluster, ...splitItem(item) }, { signal: context.signal }),
      );
      context.output.out(options.output === "json" ? messageJson(RetryItemResponseSchema, answer) : answer.message);
      context.finish(isOrdered(answer) ? "yes" : "no");
    });
}

import type { Command } from "commander";
import {
  ListRevocationsResponseSchema,
  type Revocation,
  type RevocationProgress,
  RevocationProgress_State as State,
  RevocationProgress_StateSchema,
  RevocationSchema,
  type RevocationService,
} from "../../../api/gen/conductor/fleet/v1alpha1/fleet_pb.ts";
import type { GrpcClient } from "../../../api/grpc/client.ts";
import { withRevocations } from "../clients.ts";
import { type CommandContext, type ReadOptions, UsageError, withRead } from "../context.ts";
import { follow } from "../follow.ts";
import { ageOf, enumWords, messageJson, timeOf } from "../output.ts";
import { type Column, TableStream, renderTable } from "../table.ts";

/** Longest wait for agents that are connected when nothing else is said, seconds. */
const DEFAULT_WAIT_SECONDS = 5;
/** Longest wait, seconds: a day. */
const MAX_WAIT_SECONDS = 86_400;

const EXIT_CODES = "Exit code: 0 when it is in effect everywhere, 1 when not yet, 2 usage.";

type Client = GrpcClient<typeof RevocationService>;

interface RevokeOptions extends ReadOptions {
  readonly reason: string;
  readonly id?: string;
  readonly wait: string;
  readonly watch?: boolean;
  readonly clusters?: readonly string[];
}

interface Order {
  readonly target: string;
  readonly name: string;
  readonly clusters: readonly string[];
}

/** `seamctl revoke …`. */
export function revokeCommands(program: Command, context: CommandContext): void {
  const revoke = program
    .command("revoke")
    .description(
      "withdraw trust from a pack, a permission snapshot, a cluster or a certificate, and see when it took effect",
    )
    .addHelpText(
      "after",
      `
Examples:
  seamctl revoke pack web-v3 --reason CVE-2026-1234        everywhere; it is not delivered any more either
  seamctl revoke pack web --clusters edge-1 edge-2 --reason "bad config" --wait 60
  seamctl revoke snapshot edge-1 --reason "wrong grants"   answers nothing until a newer snapshot is verified
  seamctl revoke cluster edge-1 --reason stolen            cut off, and its permissions run out
  seamctl revoke certificate 7f3a… --reason "lost laptop"  live streams end within a second
  seamctl revoke list --incomplete
  seamctl revoke show ID --watch

An agent that is offline stops honouring what was revoked by itself, at the time in the column "bounded".
${EXIT_CODES}`,
    );
  createCommand(
    revoke,
    context,
    "pack",
    "<name>",
    "PackDelivery or base pack",
    "seamctl revoke pack web-v3 --reason CVE-2026-1234 --wait 60",
    (name, clusters) => ({
      target: "Pack",
      name: name ?? "",
      clusters,
    }),
  );
  createCommand(
    revoke,
    context,
    "snapshot",
    "[cluster]",
    "only this cluster; without it all of --clusters, or every cluster",
    'seamctl revoke snapshot edge-1 --reason "wrong grants"',
    (name, clusters) => ({
      target: "PermissionSnapshot",
      name: name ?? "",
      clusters,
    }),
  );
  createCommand(
    revoke,
    context,
    "cluster",
    "<name>",
    "cluster id",
    "seamctl revoke cluster edge-1 --reason stolen --watch",
    (name) => ({
      target: "Cluster",
      name: name ?? "",
      clusters: [],
    }),
  );
  createCommand(
    revoke,
    context,
    "certificate",
    "<serial>",
    "serial number, hexadecimal",
    'seamctl revoke certificate 7F3A09 --reason "lost laptop"',
    (name) => ({
      target: "Certificate",
      name: name ?? "",
      clusters: [],
    }),
  );
  listCommand(revoke, context);
  showCommand(revoke, context);
}

function createCommand(
  revoke: Command,
  context: CommandContext,
  name: string,
  argument: string,
  described: string,
  example: string,
  order: (name: string | undefined, clusters: readonly string[]) => Order,
): void {
  const command = withRead(revoke.command(name).description(`revoke a ${name}`).argument(argument, described))
    .requiredOption("--reason <text>", "for the people who will read it")
    .option("--id <id>", "id of the revocation, so that asking again is safe; without it the hub chooses one")
    .option(
      "--wait <seconds>",
      "wait until it is in effect everywhere, at most so long; 0 does not wait",
      String(DEFAULT_WAIT_SECONDS),
    )
    .option("-w, --watch", "print every change until it is in effect everywhere, or Ctrl-C");
  if (name === "pack" || name === "snapshot") command.option("--clusters <names...>", "only these clusters");
  command.addHelpText("after", `\nExample:\n  ${example}\n\n${EXIT_CODES}`);
  command.action(async (wanted: string | undefined, options: RevokeOptions) => {
    const waitMs = waitOf(options);
    const { target, name: what, clusters } = order(wanted, options.clusters ?? []);
    await withRevocations(options, async (client) => {
      const request = {
        revocationId: options.id ?? "",
        target,
        name: what,
        clusters: [...clusters],
        reason: options.reason,
      };
      const { revocation } = await client.revoke(request, { signal: context.signal });
      if (revocation === undefined) return;
      if (options.watch === true) await watch(context, client, revocation.revocationId, options);
      else await settle(context, client, revocation, waitMs, options);
    });
  });
}

function listCommand(revoke: Command, context: CommandContext): void {
  withRead(revoke.command("list").description("list revocations, newest first"))
    .option("--incomplete", "only those that some agent may still honour")
    .option("-w, --watch", "go on until Ctrl-C, printing every change")
    .addHelpText(
      "after",
      `\nExamples:\n  seamctl revoke list\n  seamctl revoke list --incomplete -o json\n\n${EXIT_CODES}`,
    )
    .action(async (options: ReadOptions & { readonly incomplete?: boolean; readonly watch?: boolean }) => {
      await withRevocations(options, async (client) => {
        if (options.watch === true) return watch(context, client, "", options);
        const answer = await client.listRevocations(
          { incompleteOnly: options.incomplete ?? false },
          { signal: context.signal },
        );
        if (options.output === "json") context.output.out(messageJson(ListRevocationsResponseSchema, answer));
        else
          context.output.out(
            answer.revocations.length === 0
              ? "no revocations"
              : renderTable(revocationColumns(context.clock.now()), answer.revocations),
          );
        context.finish(answer.revocations.every(({ complete }) => complete) ? "yes" : "no");
      });
    });
}

function showCommand(revoke: Command, context: CommandContext): void {
  withRead(revoke.command("show").description("progress of one revocation, agent by agent").argument("<id>"))
    .option("-w, --watch", "print every change until it is in effect everywhere, or Ctrl-C")
    .option("--wait <seconds>", "wait until it is in effect everywhere, at most so long", "0")
    .addHelpText(
      "after",
      `\nExamples:\n  seamctl revoke show ID --watch\n  seamctl revoke show ID --wait 60 || echo "not everywhere yet"\n\n${EXIT_CODES}`,
    )
    .action(async (id: string, options: ReadOptions & { readonly watch?: boolean; readonly wait: string }) => {
      const waitMs = waitOf(options);
      await withRevocations(options, async (client) => {
        if (options.watch === true) return watch(context, client, id, options);
        const { revocation } = await client.getRevocation({ revocationId: id }, { signal: context.signal });
        if (revocation !== undefined) await settle(context, client, revocation, waitMs, options);
      });
    });
}

/** Waits for the end, at most so long, and shows where it stands then. */
async function settle(
  context: CommandContext,
  client: Client,
  revocation: Revocation,
  waitMs: number,
  options: ReadOptions,
): Promise<void> {
  let newest = revocation;
  if (!revocation.complete && waitMs > 0) {
    const [late, done] = [new AbortController(), new AbortController()];
    const timer = context.clock.sleep(waitMs, AbortSignal.any([context.signal, done.signal])).then(
      () => late.abort(),
      () => late.abort(), // Ctrl-C, or nothing to wait for any more
    );
    try {
      const request = { revocationId: revocation.revocationId };
      for await (const { revocations } of client.watchRevocations(request, { signal: late.signal }))
        newest = revocations[0] ?? newest;
    } catch (error) {
      if (!late.signal.aborted) throw error;
    } finally {
      done.abort();
      await timer;
    }
  }
  if (options.output === "json") context.output.out(messageJson(RevocationSchema, newest));
  else context.output.out(text(newest, context.clock.now()));
  context.finish(newest.complete ? "yes" : "no");
}

/** Prints changes until the revocation is complete; all of them until Ctrl-C. A hub that is started again is asked again. */
async function watch(
  context: CommandContext,
  client: Client,
  revocationId: string,
  options: ReadOptions,
): Promise<void> {
  const table = new TableStream();
  const shown = new Map<string, string>();
  let complete = false;
  const stop = new AbortController();
  const signal = AbortSignal.any([context.signal, stop.signal]);
  await follow(
    { ...context, signal },
    () => client.watchRevocations({ revocationId }, { signal }),
    ({ revocations }) => {
      if (options.output === "json") {
        for (const revocation of revocations) context.output.out(messageJson(RevocationSchema, revocation));
      } else if (revocationId === "") {
        if (revocations.length > 0)
          context.output.out(table.print(revocationColumns(context.clock.now()), revocations));
      } else {
        const rows = revocations.flatMap(({ progress }) => progress).filter((row) => isNew(shown, row));
        if (rows.length > 0) context.output.out(table.print(progressColumns(), rows));
      }
      complete = revocationId !== "" && revocations.every((revocation) => revocation.complete);
      if (complete) stop.abort();
    },
  );
  context.finish(revocationId === "" || complete ? "yes" : "no");
}

function isNew(shown: Map<string, string>, { cluster, state, detail }: RevocationProgress): boolean {
  const now = `${state} ${detail}`;
  if (shown.get(cluster) === now) return false;
  shown.set(cluster, now);
  return true;
}

function text(revocation: Revocation, nowMs: number): string {
  const { revocationId, target, name, reason, createdBy, createdAt, progress, complete } = revocation;
  const head = [
    `revocation  ${revocationId}`,
    `what        ${target} ${name}`,
    `reason      ${reason}`,
    `ordered     by ${createdBy || "unknown"}, ${ageOf(createdAt, nowMs)} ago`,
  ];
  const table = progress.length === 0 ? [] : ["", renderTable(progressColumns(), progress)];
  return [...head, ...table, "", complete ? "in effect everywhere" : summary(revocation)].join("\n");
}

/** What is missing, in one line. */
function summary({ progress, revocationId }: Revocation): string {
  const count = (...states: readonly State[]): number => progress.filter(({ state }) => states.includes(state)).length;
  const parts = [
    [count(State.PENDING, State.SENT), "on the way"],
    [count(State.OFFLINE), "offline and bounded"],
    [count(State.FAILED), "failed and asked again"],
  ] as const;
  const missing = parts.filter(([agents]) => agents > 0).map(([agents, what]) => `${agents} ${what}`);
  return `not in effect everywhere yet: ${missing.join(", ")}; follow it with: seamctl revoke show ${revocationId} --watch`;
}

function progressColumns(): readonly Column<RevocationProgress>[] {
  return [
    { header: "cluster", value: ({ cluster }) => cluster },
    { header: "state", value: ({ state }) => enumWords(RevocationProgress_StateSchema, state) },
    { header: "effective", value: ({ effectiveAt }) => timeOf(effectiveAt) },
    { header: "bounded", value: ({ boundedAt }) => timeOf(boundedAt) },
    { header: "detail", value: ({ detail }) => detail },
  ];
}

function revocationColumns(nowMs: number): readonly Column<Revocation>[] {
  const effective = ({ progress }: Revocation): string => {
    const done = progress.filter(({ state }) => state === State.EFFECTIVE || state === State.EXPIRED).length;
    return progress.length === 0 ? "yes" : `${done}/${progress.length}`;
  };
  return [
    { header: "revocation", value: ({ revocationId }) => revocationId },
    { header: "what", value: ({ target, name }) => `${target} ${name}` },
    { header: "effective", value: effective, align: "right" },
    { header: "age", value: ({ createdAt }) => ageOf(createdAt, nowMs), align: "right" },
    { header: "by", value: ({ createdBy }) => createdBy || "unknown" },
    { header: "reason", value: ({ reason }) => reason },
  ];
}

/** @throws UsageError */
function waitOf({ wait }: { readonly wait: string }): number {
  const seconds = Number(wait);
  if (wait.trim() !== "" && Number.isFinite(seconds) && seconds >= 0 && seconds <= MAX_WAIT_SECONDS)
    return seconds * 1000;
  throw new UsageError(`--wait: seconds from 0 to ${MAX_WAIT_SECONDS}, found ${JSON.stringify(wait)}`);
}

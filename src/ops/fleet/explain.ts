import { create } from "@bufbuild/protobuf";
import { ItemReport_Level as Level, type Nack } from "../../api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import {
  type ExplainItemResponse,
  ExplainItemResponseSchema,
  type ExplainStep,
  ExplainStepSchema,
} from "../../api/gen/conductor/fleet/v1alpha1/fleet_pb.ts";
import type { AgentView, RefusedIndexView } from "../../federation/hub/hub-view.ts";
import { refusalText } from "./agent-row.ts";
import type { IndexDocument } from "../../federation/index/index-document.ts";
import { itemRow } from "./item-row.ts";
import type { ItemProgress } from "./item-levels.ts";
import { member, timestamp } from "./wire-timestamp.ts";

/** Everything an explanation is made of. */
export interface ExplainInput {
  readonly index: IndexDocument;
  readonly progress: ItemProgress;
  /** The agent's session; undefined when this replica never had one. */
  readonly agent: AgentView | undefined;
  readonly connected: boolean;
  /** What people call the desired version: a pack's version and serial, a snapshot's version; empty when unknown. */
  readonly label: string;
  /** What is still in force on the tenant when the desired version is not there yet; empty when unknown. */
  readonly lastGood: string;
  /** When a retry was ordered that was not carried out yet, Unix milliseconds. */
  readonly retryOrderedAtMs: number | undefined;
  /** Wall clock, Unix milliseconds. */
  readonly nowMs: number;
}

const LEVELS = [
  { name: "received", level: Level.RECEIVED },
  { name: "verified", level: Level.VERIFIED },
  { name: "applied", level: Level.APPLIED },
  { name: "healthy", level: Level.HEALTHY },
] as const;

/**
 * Answers in one query how far an item has come on one agent and what stands in its way (lessons §12.1): the first step that is not
 * done carries the reason. Pure.
 */
export function explainItem(input: ExplainInput): ExplainItemResponse {
  const { index, progress, agent, connected } = input;
  const offered = isOffered(progress.item.version, index, agent) || progress.current;
  const healthy = isDone(progress);
  const blocking = healthy ? "" : blockingReason(input, offered);
  const retryMs =
    progress.current && progress.stored !== undefined ? Number(progress.stored.report.nextRetryUnixMs) : 0;
  return create(ExplainItemResponseSchema, {
    item: itemRow(index.cluster, progress),
    steps: [desiredStep(input), offeredStep(input, offered), ...levelSteps(input, offered)],
    lastError: lastError(input),
    blockingReason: blocking,
    lastGood: healthy ? "" : input.lastGood,
    connected,
    ...member("nextRetry", timestamp(retryMs)),
    ...member("retryOrderedAt", timestamp(input.retryOrderedAtMs)),
  });
}

/** The refusal of the index that names this version, while the agent holds no index that does. */
function refusalOf({ progress, index, agent }: ExplainInput): RefusedIndexView | undefined {
  const refused = agent?.refusedIndex;
  if (refused === undefined || refused.epoch !== index.epoch || progress.current) return undefined;
  return refused.sequence >= progress.item.version ? refused : undefined;
}

function lastError(input: ExplainInput): string {
  const { nack } = input.progress;
  if (nack !== undefined) return nackText(nack);
  const refused = refusalOf(input);
  return refused === undefined ? "" : `${refused.reason}: ${refused.detail}`;
}

/** A removal is done when it is applied; anything else when it is healthy. */
export function isDone({ item, level }: ItemProgress): boolean {
  return level >= (item.deleted === true ? Level.APPLIED : Level.HEALTHY);
}

function desiredStep(input: ExplainInput): ExplainStep {
  const { index, progress } = input;
  const { item } = progress;
  // Only the newest sequence has its time at hand; an item that changed earlier was signed before it.
  const since =
    item.version === index.sequence
      ? `index ${index.epoch}.${index.sequence}`
      : `since index ${index.epoch}.${item.version}, now ${index.epoch}.${index.sequence}`;
  const detail = input.label === "" ? since : `${input.label}, ${since}`;
  return step("desired", "done", item.version, detail, item.version === index.sequence ? index.issuedAt : undefined);
}

function offeredStep(input: ExplainInput, offered: boolean): ExplainStep {
  const { progress, agent, connected } = input;
  if (!offered)
    return step("offered", connected ? "pending" : "blocked", undefined, connected ? "" : offlineText(input));
  const position = agent?.offered ?? agent?.held;
  const detail = position === undefined ? "" : `index ${position.epoch}.${position.sequence}`;
  // A new stream offers the same index again: a time after the receipt says nothing about this item.
  const receivedMs = progress.stored?.reachedMs[Level.RECEIVED] ?? 0;
  const atMs = agent?.offered?.atMs;
  const isFirst = atMs !== undefined && (!progress.current || receivedMs === 0 || atMs <= receivedMs);
  return step("offered", "done", progress.item.version, detail, isFirst ? atMs : undefined);
}

function levelSteps(input: ExplainInput, offered: boolean): readonly ExplainStep[] {
  const { progress, connected } = input;
  const last = progress.item.deleted === true ? Level.APPLIED : Level.HEALTHY;
  let first = true;
  return LEVELS.map(({ name, level }) => {
    if (level > last) return step(name, "done", undefined, "removals end with applied");
    if (progress.level >= level)
      return step(name, "done", progress.item.version, "", progress.stored?.reachedMs[level]);
    const next = first;
    first = false;
    if (!next || !offered) return step(name, "pending", undefined, "");
    if (progress.nack !== undefined)
      return step(name, progress.quarantined ? "refused" : "blocked", progress.item.version, nackText(progress.nack));
    if (!connected) return step(name, "blocked", undefined, offlineText(input));
    return step(name, "pending", undefined, waitingFor(progress));
  });
}

function blockingReason(input: ExplainInput, offered: boolean): string {
  const { progress, connected, index } = input;
  if (progress.nack !== undefined) {
    const { reason, detail } = progress.nack;
    return progress.quarantined
      ? `refused by the agent: ${reason}${detail === "" ? "" : `, ${detail}`}; it is not sent again until the content changes or an operator retries`
      : `the agent tries again after ${reason}${detail === "" ? "" : `: ${detail}`}`;
  }
  if (!connected) return offlineText(input);
  if (Date.parse(index.expiresAt) <= input.nowMs)
    return `the index expired at ${index.expiresAt}: nothing new is accepted`;
  const refused = refusalOf(input);
  if (refused !== undefined) return `the agent ${refusalText(refused)}`;
  if (!offered) return "the index that names it was not offered yet";
  const waiting = waitingFor(progress);
  return waiting === "" ? `the agent has not reported ${nextLevel(progress)} yet` : `the agent waits for ${waiting}`;
}

function nextLevel(progress: ItemProgress): string {
  return LEVELS.find(({ level }) => progress.level < level)?.name ?? "healthy";
}

function waitingFor({ current, stored }: ItemProgress): string {
  return current ? (stored?.report.waitingFor ?? "") : "";
}

function offlineText({ agent }: ExplainInput): string {
  const last = agent?.lastDisconnect ?? "";
  return last === "" ? "the agent is not connected" : `the agent is not connected (${last})`;
}

function isOffered(version: number, index: IndexDocument, agent: AgentView | undefined): boolean {
  return [agent?.held, agent?.offered].some(
    (position) => position !== undefined && position.epoch === index.epoch && position.sequence >= version,
  );
}

function nackText({ reason, detail }: Nack): string {
  return detail === "" ? reason : `${reason}: ${detail}`;
}

function step(
  name: string,
  state: "done" | "pending" | "blocked" | "refused",
  version: number | undefined,
  detail: string,
  at?: number | string,
): ExplainStep {
  return create(ExplainStepSchema, {
    name,
    state,
    version: version === undefined ? "" : String(version),
    detail,
    ...member("at", timestamp(at)),
  });
}

import { auditObject } from "../../../../api/audit-record.ts";
import { PermissionSnapshot } from "../../../../api/kinds/permission-snapshot.ts";
import { PermissionSnapshotReceipt } from "../../../../api/kinds/permission-snapshot-receipt.ts";
import { NAMESPACES, snapshotName, snapshotReceiptName } from "../../../../api/names.ts";
import { errorMessage } from "../../../../base/errors.ts";
import { ifPresent } from "../../../../cluster/if-present.ts";
import type { EventRecorder } from "../../../../controller/events.ts";
import type { Freshness } from "../../../../permissions/store/freshness.ts";
import type { SnapshotParts } from "./snapshot-parts.ts";
import { acknowledge } from "./snapshot-receipt.ts";

/** What {@link watchSnapshotStore} needs besides the parts of the handler. */
export interface SnapshotWatchOptions extends SnapshotParts {
  readonly events: Pick<EventRecorder, "record">;
  readonly signal: AbortSignal;
}

/**
 * Tells what the store finds out by itself, without an offer: that the snapshot is stale or has expired because nobody renewed it, that
 * what was held at the start does not verify, that its key was withdrawn (permissions §10.2). Receipt and report follow the store's
 * state; people hear of each change once, by an Event on the receipt.
 */
export function watchSnapshotStore(options: SnapshotWatchOptions): { readonly closed: Promise<void> } {
  const { store, signal } = options;
  let turn: Promise<void> = Promise.resolve();
  const inTurn = (work: () => Promise<void>): void => {
    turn = turn.then(work).catch((error: unknown) => {
      options.log.warn(
        { detail: errorMessage(error) },
        "the state of the snapshot could not be told; the next change tells it",
      );
    });
  };
  let overdue = false;
  const stop = store.subscribe((event) => {
    // What comes of an offer is told by who handles it.
    if ((event.type === "refused" || event.type === "healed") && event.what === "held")
      inTurn(() => tell(options, undefined));
    if (event.type !== "freshness") return;
    const { freshness } = event;
    // The first snapshot is no news of freshness; its activation is told by who applied it.
    if (freshness === "FRESH" && !overdue) return;
    overdue = freshness === "STALE" || freshness === "EXPIRED";
    inTurn(() => tell(options, freshness));
  });
  // What was found while opening the store had no listener yet.
  if (store.state().degraded) inTurn(() => acknowledge(options));
  const closed = new Promise<void>((resolve) => {
    const end = (): void => {
      stop();
      resolve(turn);
    };
    if (signal.aborted) end();
    else signal.addEventListener("abort", end, { once: true });
  });
  return { closed };
}

async function tell(options: SnapshotWatchOptions, freshness: Freshness | undefined): Promise<void> {
  if (options.signal.aborted) return;
  if (freshness !== undefined) await tellFreshness(options, freshness);
  await acknowledge(options);
}

async function tellFreshness(options: SnapshotWatchOptions, freshness: Freshness): Promise<void> {
  const { clusterId, trail, store } = options;
  const news = NEWS[freshness];
  if (news === undefined) return;
  const receipt = await receiptOf(options);
  const version = store.current?.statement.version ?? "";
  if (receipt !== undefined) options.events.record(receipt, news.type, news.reason, `${version}: ${news.message}`);
  if (freshness === "EXPIRED")
    await trail.record({
      ...auditObject(PermissionSnapshot, { name: snapshotName(clusterId) }),
      action: "snapshot.expired",
      subject: `cluster:${clusterId}`,
      decision: "system",
      snapshotVersion: version,
    });
}

const NEWS: Readonly<
  Partial<Record<Freshness, { readonly type: "Normal" | "Warning"; readonly reason: string; readonly message: string }>>
> = {
  FRESH: { type: "Normal", reason: "SnapshotFresh", message: "renewed in time again" },
  STALE: {
    type: "Warning",
    reason: "SnapshotStale",
    message: "not renewed within its freshness window; it decides on until it expires. Is the hub reachable?",
  },
  EXPIRED: {
    type: "Warning",
    reason: "SnapshotExpired",
    message: "not renewed within its longest time offline; every question is denied until the hub is reached",
  },
};

async function receiptOf({ cluster, clusterId }: SnapshotWatchOptions): Promise<PermissionSnapshotReceipt | undefined> {
  const key = { namespace: NAMESPACES.ont, name: snapshotReceiptName(clusterId) };
  return ifPresent(cluster.get(PermissionSnapshotReceipt, key));
}

import { create } from "@bufbuild/protobuf";
import {
  type Agent,
  type DriftSignalView,
  type ExplainItemResponse,
  type Item,
  type ListDriftRequest,
  type ListItemsRequest,
  type RetryItemResponse,
  type WatchAgentsRequest,
  type WatchAgentsResponse,
  WatchAgentsResponseSchema,
} from "../../api/gen/conductor/fleet/v1alpha1/fleet_pb.ts";
import { GrpcStatusError, Status } from "../../api/grpc/status-error.ts";
import { NAMESPACES, snapshotName, tenantNamespace } from "../../api/names.ts";
import type { Clock } from "../../base/clock.ts";
import { lackingCapability, lackingText } from "../../federation/capability/agent-capability.ts";
import { type ItemKind, itemKey } from "../../federation/index/index-document.ts";
import { coalescedChanges } from "../watch/coalesced-changes.ts";
import { resumedFrom } from "../watch/resumed.ts";
import { agentRow, carrierElsewhere, contactOf } from "./agent-row.ts";
import { driftRow } from "./drift-row.ts";
import { explainItem } from "./explain.ts";
import { type ItemName, findItem } from "./find-item.ts";
import { BY_CLUSTER, type FleetSources } from "./fleet-sources.ts";
import { ItemLevels, type ItemProgress } from "./item-levels.ts";
import { itemRow } from "./item-row.ts";
import { orderRetry } from "./order-retry.ts";

/** Most items of one ListItems answer: beyond it the caller asks per cluster. */
const MAX_LISTED_ITEMS = 50_000;

/** What FleetService answers, whichever way it is asked (gRPC on 9444, Connect on 8080). */
export class FleetQueries {
  readonly #sources: FleetSources;
  readonly #clock: Clock;
  readonly #levels: ItemLevels;

  constructor(sources: FleetSources, clock: Clock) {
    this.#sources = sources;
    this.#clock = clock;
    this.#levels = new ItemLevels(sources.levels);
  }

  /** Name of this replica. */
  get replica(): string {
    return this.#sources.view.replica;
  }

  /** Name of the other replica that carries an agent; undefined when none does, as far as this one knows. */
  carrierElsewhere(cluster: string): string | undefined {
    return carrierElsewhere(this.#sources, cluster);
  }

  /** Progress of a tenant's items; empty while nothing is signed for it. */
  progress(cluster: string): readonly ItemProgress[] {
    const index = this.#sources.desired.current(cluster);
    return index === undefined ? [] : this.#levels.progress(index.document);
  }

  /** Agents of the named clusters, or all, sorted by cluster. */
  agents(clusters: readonly string[]): readonly Agent[] {
    const wanted = new Set(clusters);
    return this.#sources.directory
      .clusters()
      .filter((cluster) => wanted.size === 0 || wanted.has(cluster))
      .map((cluster) => agentRow(this.#sources, this.#levels, cluster));
  }

  /** All agents first, or those that differ from what the caller has; then each change, coalesced. @throws GrpcStatusError */
  async *watchAgents(
    { clusters, have }: Pick<WatchAgentsRequest, "clusters" | "have">,
    signal: AbortSignal,
  ): AsyncGenerator<WatchAgentsResponse> {
    const resumed = resumedFrom(have);
    let known = new Set<string>(resumed.keys());
    for await (const changed of coalescedChanges(
      (listener) => this.#sources.subscribe(listener),
      this.#clock,
      signal,
    )) {
      const agents = this.agents(clusters);
      const present = new Set(agents.map(({ cluster }) => cluster));
      const removed = [...known].filter((cluster) => !present.has(cluster));
      const first = changed.size === 0;
      const sent = agents.filter(({ cluster, revision }) =>
        first ? resumed.get(cluster) !== revision : !known.has(cluster) || changed.has(cluster),
      );
      known = present;
      if (first || sent.length > 0 || removed.length > 0)
        yield create(WatchAgentsResponseSchema, { agents: sent, removed });
    }
  }

  /** Items sorted by cluster, kind and name. @throws GrpcStatusError RESOURCE_EXHAUSTED for a fleet too large for one answer */
  items({ cluster }: Pick<ListItemsRequest, "cluster">): readonly Item[] {
    const clusters = cluster === "" ? this.#sources.directory.clusters() : [this.#known(cluster)];
    const items: Item[] = [];
    for (const id of clusters) {
      for (const progress of this.progress(id)) items.push(itemRow(id, progress));
      if (items.length > MAX_LISTED_ITEMS)
        throw new GrpcStatusError(Status.RESOURCE_EXHAUSTED, {
          reason: "TooManyItems",
          object: "ListItems",
          field: "cluster",
          expected: `at most ${MAX_LISTED_ITEMS} items in one answer`,
          remedy: "ask for one cluster at a time",
        });
    }
    return items;
  }

  /** Everything known about one item on one agent (lessons §12.1). @throws GrpcStatusError NOT_FOUND */
  explain(wanted: ItemName): ExplainItemResponse {
    const cluster = this.#known(wanted.cluster);
    const index = this.#sources.desired.current(cluster);
    if (index === undefined)
      throw new GrpcStatusError(Status.NOT_FOUND, {
        reason: "NoIndex",
        object: `cluster ${cluster}`,
        expected: "a signed index, and none was signed yet",
        remedy: "look at the signing loops of the management agent",
      });
    const progress = this.#find(wanted);
    return explainItem({
      index: index.document,
      progress,
      agent: this.carrierElsewhere(cluster) === undefined ? this.#sources.view.agent(cluster) : undefined,
      connected: agentRow(this.#sources, this.#levels, cluster).connected,
      label: this.#label(cluster, progress),
      lastGood: this.#lastGood(cluster, progress),
      retryOrderedAtMs: this.#retryOrderedAt(cluster, progress),
      nowMs: this.#clock.now(),
    });
  }

  /** Orders a retry, durable before it answers; whichever replica the agent is connected to carries it out. @throws GrpcStatusError */
  async retry(wanted: ItemName): Promise<RetryItemResponse> {
    const cluster = this.#known(wanted.cluster);
    const contact = contactOf(this.#sources, cluster);
    return orderRetry(this.#sources.retries, { cluster, progress: this.#find(wanted), contact });
  }

  /** Drift signals sorted by cluster and name. */
  drift({
    cluster,
    includeConfirmed,
  }: Pick<ListDriftRequest, "cluster" | "includeConfirmed">): readonly DriftSignalView[] {
    const signals =
      cluster === ""
        ? this.#sources.driftSignals.list()
        : this.#sources.driftSignals.byIndex(BY_CLUSTER, this.#known(cluster));
    return signals
      .filter(({ spec }) => includeConfirmed || spec.state !== "confirmed")
      .map(driftRow)
      .sort((a, b) => compare(a.cluster, b.cluster) || compare(a.name, b.name));
  }

  #find(wanted: ItemName): ItemProgress {
    const installed = this.#sources.installed.byIndex(BY_CLUSTER, wanted.cluster);
    return findItem(wanted, this.progress(wanted.cluster), installed, (kind) => this.#withheld(wanted.cluster, kind));
  }

  #withheld(name: string, kind: ItemKind): string | undefined {
    const agent = this.#sources.runnerConfigs.get({ namespace: NAMESPACES.ont, name })?.status?.federation?.tenantAgent;
    const lacking = lackingCapability(
      kind,
      agent?.capabilities?.map((capability) => capability.name),
    );
    return lacking === undefined ? undefined : lackingText(kind, lacking, agent?.version ?? "");
  }

  #known(cluster: string): string {
    if (this.#sources.directory.clusters().includes(cluster)) return cluster;
    throw new GrpcStatusError(Status.NOT_FOUND, {
      reason: "ClusterNotFound",
      object: `cluster ${JSON.stringify(cluster)}`,
      expected: "must be a registered TalosCluster with role tenant",
      remedy: "list them: seamctl agents",
    });
  }

  /** When a retry of exactly this content was ordered that waits to be carried out. */
  #retryOrderedAt(cluster: string, { item }: ItemProgress): number | undefined {
    const orders = this.#sources.retries.pending(cluster);
    const order = orders.find((each) => itemKey(each) === itemKey(item) && each.digest === item.digest);
    return order?.orderedAtMs;
  }

  #label(cluster: string, { item }: ItemProgress): string {
    if (item.deleted === true) return "removal";
    if (item.kind === "PermissionSnapshot") {
      const snapshot = this.#sources.snapshots.get({ namespace: NAMESPACES.seam, name: snapshotName(cluster) });
      return snapshot?.status?.signedVersion ?? "";
    }
    if (item.kind !== "PackInstalled") return "";
    const installed = this.#sources.installed.get({ namespace: tenantNamespace(cluster), name: item.name });
    // What stands in the object may be newer than what the index names.
    if (installed?.status?.manifestDigest !== item.digest) return "";
    return `${installed.spec.version} (serial ${installed.status.serial ?? 0})`;
  }

  #lastGood(cluster: string, { item }: ItemProgress): string {
    if (item.kind === "PermissionSnapshot")
      return (
        this.#sources.snapshots.get({ namespace: NAMESPACES.seam, name: snapshotName(cluster) })?.status
          ?.lastAckedVersion ?? ""
      );
    if (item.kind !== "PackInstalled") return "";
    const receipt = this.#sources.receipts.get({ namespace: tenantNamespace(cluster), name: item.name });
    const { version, serial, manifestDigest } = receipt?.spec ?? {};
    if (serial === undefined || manifestDigest === item.digest || receipt?.status?.verified !== true) return "";
    return `${version ?? "unknown version"} (serial ${serial})`;
  }
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

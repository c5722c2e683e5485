import { create } from "@bufbuild/protobuf";
import {
  type Agent,
  type ExplainItemRequest,
  type ExplainItemResponse,
  type ListAgentsRequest,
  type RetryItemRequest,
  type RetryItemResponse,
  type WatchAgentsRequest,
  type WatchAgentsResponse,
  WatchAgentsResponseSchema,
} from "../../api/gen/conductor/fleet/v1alpha1/fleet_pb.ts";
import { GrpcStatusError, Status } from "../../api/grpc/status-error.ts";
import type { FleetQueries } from "./fleet-queries.ts";
import type { PeerFleets } from "./peer-fleets.ts";

/**
 * The same answers whichever replica is asked. What all replicas read from the management cluster is answered here; what only the replica
 * that carries an agent knows (what it holds, its round trip, its queue) is asked there, with `local_only` so that nobody asks back.
 */
export class FleetAnswers {
  readonly #queries: FleetQueries;
  readonly #peers: PeerFleets;

  constructor(queries: FleetQueries, peers: PeerFleets) {
    this.#queries = queries;
    this.#peers = peers;
  }

  /** Agents of the named clusters, or all, sorted by cluster; with `localOnly` those that this replica carries. */
  async agents({ clusters, localOnly }: Pick<ListAgentsRequest, "clusters" | "localOnly">): Promise<readonly Agent[]> {
    const agents = this.#queries.agents(clusters);
    if (localOnly) return agents.filter((agent) => agent.connected && agent.replica === this.#queries.replica);
    return this.#asCarried(agents);
  }

  /** As FleetQueries.watchAgents; each change of an agent elsewhere is told as the replica that carries it sees it. */
  async *watchAgents(
    request: Pick<WatchAgentsRequest, "clusters" | "have">,
    signal: AbortSignal,
  ): AsyncGenerator<WatchAgentsResponse> {
    for await (const { agents, removed } of this.#queries.watchAgents(request, signal))
      yield create(WatchAgentsResponseSchema, { agents: [...(await this.#asCarried(agents))], removed });
  }

  /** @throws GrpcStatusError NOT_FOUND */
  async explain(request: ExplainItemRequest): Promise<ExplainItemResponse> {
    const replica = request.localOnly ? undefined : this.#queries.carrierElsewhere(request.cluster);
    if (replica === undefined) return this.#queries.explain(request);
    const { cluster, kind, name } = request;
    try {
      return await this.#peers.call(replica, (client) => client.explainItem({ cluster, kind, name, localOnly: true }));
    } catch (error) {
      // What stands on the management cluster is still the truth, only less of it.
      if (error instanceof GrpcStatusError && error.code !== Status.UNAVAILABLE) throw error;
      return this.#queries.explain(request);
    }
  }

  /** Orders are kept on the management cluster: any replica takes them. @throws GrpcStatusError */
  retry(request: RetryItemRequest): Promise<RetryItemResponse> {
    return this.#queries.retry(request);
  }

  async #asCarried(agents: readonly Agent[]): Promise<readonly Agent[]> {
    const elsewhere = new Map<string, string[]>();
    for (const { cluster, connected, replica } of agents) {
      if (!connected || replica === this.#queries.replica) continue;
      const clusters = elsewhere.get(replica) ?? [];
      elsewhere.set(replica, clusters);
      clusters.push(cluster);
    }
    if (elsewhere.size === 0) return agents;
    const told = await Promise.all([...elsewhere].map(([replica, clusters]) => this.#peers.carried(replica, clusters)));
    const rows = new Map(told.flat().map((row) => [row.cluster, row]));
    return agents.map((agent) => {
      const row = agent.replica === this.#queries.replica ? undefined : rows.get(agent.cluster);
      return row?.connected === true ? row : agent;
    });
  }
}

import type { Agent, FleetService } from "../../api/gen/conductor/fleet/v1alpha1/fleet_pb.ts";
import type { GrpcClient } from "../../api/grpc/client.ts";
import { GrpcStatusError, Status } from "../../api/grpc/status-error.ts";
import { errorMessage } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";

/** Another replica of the hub. */
export interface FleetPeer {
  readonly replica: string;
  /** `host:port` of its internal services. */
  readonly address: string;
}

/** What {@link PeerFleets} is made of. */
export interface PeerFleetsParts {
  /** The living ones, as their memberships name them. */
  readonly peers: () => readonly FleetPeer[];
  /** Connects to a peer's FleetService; asked again after a peer did not answer, so that new certificates count. */
  readonly connect: (address: string) => GrpcClient<typeof FleetService>;
  readonly log: Log;
}

/** A peer that hangs must not hold an answer up for long, milliseconds. */
const PEER_DEADLINE_MS = 1_500;
/** More names than this are not sent: the peer is asked for all it carries. */
const MAX_NAMES = 200;

type Client = GrpcClient<typeof FleetService>;

/** Asks the other replicas about the agents they carry. Costs nothing while nobody asks. */
export class PeerFleets {
  readonly #parts: PeerFleetsParts;
  readonly #clients = new Map<string, Client>();

  constructor(parts: PeerFleetsParts) {
    this.#parts = parts;
  }

  /** True while there is another replica. */
  get any(): boolean {
    return this.#parts.peers().length > 0;
  }

  /** Rows of agents that `replica` carries now; empty when it does not answer. */
  async carried(replica: string, clusters: readonly string[]): Promise<readonly Agent[]> {
    try {
      const names = clusters.length > MAX_NAMES ? [] : [...clusters];
      const { agents } = await this.call(replica, (client) =>
        client.listAgents({ clusters: names, localOnly: true }, { deadlineMs: PEER_DEADLINE_MS }),
      );
      return agents;
    } catch (error) {
      this.#parts.log.warn({ replica, error: errorMessage(error) }, "a replica does not say what it carries");
      return [];
    }
  }

  /** Calls one replica. @throws GrpcStatusError UNAVAILABLE when it is gone or does not answer; what it answered otherwise */
  async call<R>(replica: string, ask: (client: Client) => Promise<R>): Promise<R> {
    const address = this.#parts.peers().find((peer) => peer.replica === replica)?.address;
    this.#forgetGone();
    if (address === undefined) throw new GrpcStatusError(Status.UNAVAILABLE, `replica ${replica} is gone`);
    let client = this.#clients.get(address);
    if (client === undefined) this.#clients.set(address, (client = this.#parts.connect(address)));
    try {
      return await ask(client);
    } catch (error) {
      if (!(error instanceof GrpcStatusError) || error.code === Status.UNAVAILABLE) this.#forget(address);
      throw error;
    }
  }

  close(): void {
    for (const address of this.#clients.keys()) this.#forget(address);
  }

  #forgetGone(): void {
    const known = new Set(this.#parts.peers().map(({ address }) => address));
    for (const address of this.#clients.keys()) if (!known.has(address)) this.#forget(address);
  }

  #forget(address: string): void {
    this.#clients.get(address)?.close();
    this.#clients.delete(address);
  }
}

import type { HubMembership } from "../ports.ts";
import { rendezvousOrder } from "./rendezvous-order.ts";
import type { ReplicaDirectory } from "./replica-directory.ts";
import type { ReplicaMembership } from "./replica-membership.ts";

/** What {@link hubMembership} is made of. */
export interface HubMembershipParts {
  /** Where agents reach this replica, `host:port`; empty when it names no endpoint. */
  readonly endpoint: string;
  readonly membership: ReplicaMembership;
  readonly replicas: ReplicaDirectory;
}

/** This replica among the others, as the hub asks for it. */
export function hubMembership({ endpoint, membership, replicas }: HubMembershipParts): HubMembership {
  /** The other replicas an agent of `cluster` may go to: its share of each is the same wherever it is asked. */
  const others = (cluster: string): readonly string[] =>
    rendezvousOrder(cluster, replicas.peers())
      .map((peer) => peer.endpoint)
      .filter((each) => each !== "");
  return {
    valid: () => membership.valid(),
    subscribe: (listener) => membership.subscribe(listener),
    // Where an agent is, it should stay: every move of an ownership is a write.
    endpoints: (cluster) => (endpoint === "" ? [] : [endpoint, ...others(cluster)]),
    elsewhere: (cluster) => others(cluster)[0] ?? "",
    drain: () => membership.drain(),
  };
}

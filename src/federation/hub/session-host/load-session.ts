import type { Hello } from "../../../api/gen/conductor/federation/v1alpha1/session_pb.ts";
import { uuidV7 } from "../../../base/ids.ts";
import type { LoadedSession } from "../../session/hub/events.ts";
import type { FollowedIndex } from "./followed-index.ts";
import type { HostScope } from "./host-scope.ts";

/** Takes the session over and reads what Welcome says of it. @throws OwnershipLost */
export function loadSession(scope: HostScope, hello: Hello, index: FollowedIndex): Promise<LoadedSession> {
  const { cluster, shared } = scope;
  const { options, membership } = shared;
  return shared.loads.run(async () => {
    const [term, itemLevels, audit] = await Promise.all([
      options.ownership.acquire(cluster, hello.highestTerm),
      options.facts.itemLevels(cluster),
      options.audit.position(cluster, hello.audit?.epoch ?? 0n),
      index.warm(),
    ]);
    const endpoints = membership.endpoints(cluster);
    return {
      sessionId: uuidV7(options.clock, options.random),
      term,
      replica: options.replica,
      storeWentBack: options.ownership.wentBack(cluster),
      audit,
      itemLevels,
      endpoints: endpoints.length > 0 ? endpoints : options.endpoints,
    };
  });
}

import { FleetService } from "../../api/gen/conductor/fleet/v1alpha1/fleet_pb.ts";
import { type GrpcService, implementService } from "../../api/grpc/service-implementation.ts";
import type { FleetQueries } from "./fleet-queries.ts";

/** FleetService on 9444. */
export function fleetService(queries: FleetQueries): GrpcService {
  return implementService(FleetService, {
    listAgents: ({ clusters }) => ({ agents: [...queries.agents(clusters)] }),
    watchAgents: (request, { signal }) => queries.watchAgents(request, signal),
    listItems: (request) => ({ items: [...queries.items(request)] }),
    explainItem: (request) => queries.explain(request),
    retryItem: (request) => queries.retry(request),
    listDrift: (request) => ({ signals: [...queries.drift(request)] }),
  });
}

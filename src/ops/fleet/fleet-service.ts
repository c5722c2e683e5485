import { FleetService } from "../../api/gen/conductor/fleet/v1alpha1/fleet_pb.ts";
import { type GrpcService, implementService } from "../../api/grpc/service-implementation.ts";
import type { FleetAnswers } from "./fleet-answers.ts";
import type { FleetQueries } from "./fleet-queries.ts";

/** FleetService on 9444. */
export function fleetService(queries: FleetQueries, answers: FleetAnswers): GrpcService {
  return implementService(FleetService, {
    listAgents: async (request) => ({ agents: [...(await answers.agents(request))] }),
    watchAgents: (request, { signal }) => answers.watchAgents(request, signal),
    listItems: (request) => ({ items: [...queries.items(request)] }),
    explainItem: (request) => answers.explain(request),
    retryItem: (request) => answers.retry(request),
    listDrift: (request) => ({ signals: [...queries.drift(request)] }),
  });
}

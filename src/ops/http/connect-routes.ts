import { Code, ConnectError, type ConnectRouter } from "@connectrpc/connect";
import { FleetService, ReceiptService } from "../../api/gen/conductor/fleet/v1alpha1/fleet_pb.ts";
import { connectErrorOf } from "../../api/grpc/connect-error.ts";
import { GrpcStatusError } from "../../api/grpc/status-error.ts";
import type { FleetAnswers } from "../fleet/fleet-answers.ts";
import type { FleetQueries } from "../fleet/fleet-queries.ts";
import type { ReceiptQueries } from "../receipts/receipt-queries.ts";

/** The reading half of the operators' services as Connect/JSON, for browsers and curl. This port knows no callers, so it changes nothing. */
export function connectRoutes(
  fleet: FleetQueries,
  answers: FleetAnswers,
  receipts: ReceiptQueries,
): (router: ConnectRouter) => void {
  return (router) => {
    router.service(FleetService, {
      listAgents: (request) => answer(async () => ({ agents: [...(await answers.agents(request))] })),
      watchAgents: (request, { signal }) => answers.watchAgents(request, signal),
      listItems: (request) => answer(() => ({ items: [...fleet.items(request)] })),
      explainItem: (request) => answer(() => answers.explain(request)),
      retryItem: () => {
        throw new ConnectError("this port is read-only; call RetryItem on the internal port", Code.PermissionDenied);
      },
      listDrift: (request) => answer(() => ({ signals: [...fleet.drift(request)] })),
    });
    router.service(ReceiptService, {
      getReceipt: ({ cluster, name }) => answer(() => ({ receipt: receipts.get(cluster, name) })),
      listReceipts: (request) => answer(() => ({ receipts: [...receipts.list(request)] })),
      watchReceipts: (request, { signal }) => receipts.watch(request, signal),
    });
  };
}

async function answer<T>(query: () => T | Promise<T>): Promise<T> {
  try {
    return await query();
  } catch (error) {
    if (error instanceof GrpcStatusError) throw connectErrorOf(error);
    throw error;
  }
}

import { AuditService } from "../../api/gen/conductor/fleet/v1alpha1/audit_pb.ts";
import { type GrpcService, implementService } from "../../api/grpc/service-implementation.ts";
import type { QuarantineQueries } from "./quarantine-queries.ts";
import type { AuditQueries } from "./audit-queries.ts";

/** AuditService on 9444. */
export function auditService(queries: AuditQueries, quarantine: QuarantineQueries): GrpcService {
  return implementService(AuditService, {
    queryEvents: (request, { signal }) => queries.page(request, signal),
    tailEvents: (request, { signal }) => queries.tail(request, signal),
    verifyChains: ({ cluster }, { signal }) => queries.verify(cluster, signal),
    listSnapshotLedger: (request, { signal }) => queries.snapshotLedger(request, signal),
    listQuarantine: (request) => quarantine.list(request),
    getQuarantined: ({ id }) => quarantine.get(id),
    resolveQuarantined: async (request, { principal }) => ({
      entry: await quarantine.resolve(request, principal?.name ?? ""),
    }),
  });
}

import { ReceiptService } from "../../api/gen/conductor/fleet/v1alpha1/fleet_pb.ts";
import { type GrpcService, implementService } from "../../api/grpc/service-implementation.ts";
import type { ReceiptQueries } from "./receipt-queries.ts";

/** ReceiptService on 9444. */
export function receiptService(queries: ReceiptQueries): GrpcService {
  return implementService(ReceiptService, {
    getReceipt: ({ cluster, name }) => ({ receipt: queries.get(cluster, name) }),
    listReceipts: (request) => ({ receipts: [...queries.list(request)] }),
    watchReceipts: (request, { signal }) => queries.watch(request, signal),
  });
}

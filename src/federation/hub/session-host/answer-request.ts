import type { RequestPayload, ResponsePayload } from "../../session/payload.ts";
import type { TenantRates } from "../tenant-rates.ts";
import { refusedResponse, unsupportedResponse } from "../unsupported-response.ts";
import type { HostScope } from "./host-scope.ts";

/** The answer to a request of the agent, from the room that knows; closed when it asks too often, nobody knows, or the room failed. */
export async function answerRequest(
  scope: HostScope,
  rates: TenantRates,
  request: RequestPayload,
): Promise<ResponsePayload> {
  const { cluster, shared, log } = scope;
  if (!rates.admitsRequest()) {
    log.warn({ request: request.case, limit: shared.limits.tenantRates.requests }, "request refused: rate");
    return refusedResponse(request, "RequestRate", "this cluster asks too often; ask again in some seconds");
  }
  const { onRequest } = shared.options;
  try {
    if (onRequest !== undefined) return await onRequest(cluster, request);
  } catch (error) {
    log.error({ err: error, request: request.case }, "request failed");
  }
  return unsupportedResponse(request);
}

import { create } from "@bufbuild/protobuf";
import {
  CertificateRenewalResponseSchema,
  RunnerConfigValidationResponseSchema,
} from "../../api/gen/conductor/federation/v1alpha1/commands_pb.ts";
import type { RequestPayload, ResponsePayload } from "../session/payload.ts";

/** The answer of a hub that does not serve a request, or failed at it. */
export function unsupportedResponse(request: RequestPayload): ResponsePayload {
  return refusedResponse(request, "Unsupported", "this hub does not validate RunnerConfigs");
}

/** An answer without a verdict: closed, never approved. `code` for programs, `reason` for people. */
export function refusedResponse(request: RequestPayload, code: string, reason: string): ResponsePayload {
  const { requestId } = request.value;
  switch (request.case) {
    case "runnerConfigValidationRequest":
      return {
        case: "runnerConfigValidationResponse",
        value: create(RunnerConfigValidationResponseSchema, {
          requestId,
          runnerConfigName: request.value.runnerConfigName,
          approved: false,
          reason,
        }),
      };
    case "certificateRenewalRequest":
      return {
        case: "certificateRenewalResponse",
        value: create(CertificateRenewalResponseSchema, { requestId, refusedReason: code }),
      };
  }
}

import { create } from "@bufbuild/protobuf";
import {
  CertificateRenewalResponseSchema,
  RunnerConfigValidationResponseSchema,
} from "../../api/gen/conductor/federation/v1alpha1/commands_pb.ts";
import type { RequestPayload, ResponsePayload } from "../session/payload.ts";

/** The answer of a hub that does not serve a request, or failed at it: closed, never approved. */
export function unsupportedResponse(request: RequestPayload): ResponsePayload {
  const { requestId } = request.value;
  switch (request.case) {
    case "runnerConfigValidationRequest":
      return {
        case: "runnerConfigValidationResponse",
        value: create(RunnerConfigValidationResponseSchema, {
          requestId,
          runnerConfigName: request.value.runnerConfigName,
          approved: false,
          reason: "this hub does not validate RunnerConfigs",
        }),
      };
    case "certificateRenewalRequest":
      return {
        case: "certificateRenewalResponse",
        value: create(CertificateRenewalResponseSchema, { requestId, refusedReason: "Unsupported" }),
      };
  }
}

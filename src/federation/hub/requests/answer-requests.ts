import type { RequestPayload, ResponsePayload } from "../../session/payload.ts";
import { unsupportedResponse } from "../unsupported-response.ts";
import { type RunnerConfigValidatorParts, validateRunnerConfig } from "./runner-config-validator.ts";

/** Answers what agents ask over their streams. */
export function answerRequests(
  parts: RunnerConfigValidatorParts,
): (cluster: string, request: RequestPayload) => Promise<ResponsePayload> {
  return async (cluster, request) => {
    switch (request.case) {
      case "runnerConfigValidationRequest":
        return {
          case: "runnerConfigValidationResponse",
          value: await validateRunnerConfig(parts, cluster, request.value),
        };
      case "certificateRenewalRequest":
        return unsupportedResponse(request);
    }
  };
}

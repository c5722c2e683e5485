import { GrpcStatusError, Status } from "../../api/grpc/status-error.ts";
import { SeamError, errorMessage } from "../../base/errors.ts";
import type { TargetOptions } from "./mesh-file.ts";
import { typed } from "./typed-command.ts";

/** Failures of the network below a call: nobody listens, or the connection broke. */
const NETWORK_CODES = new Set(["ECONNREFUSED", "ECONNRESET", "EPIPE", "ETIMEDOUT", "EHOSTUNREACH", "ENETUNREACH"]);

/** True when a call failed because its server cannot be reached, not because of what it answered. */
export function isUnreachable(error: unknown): boolean {
  if (error instanceof GrpcStatusError) return error.code === Status.UNAVAILABLE && error.parts === undefined;
  return error instanceof Error && "code" in error && typeof error.code === "string" && NETWORK_CODES.has(error.code);
}

/** What a person is told in place of such a failure: who does not answer, why, and how to start it. Other failures stay as they are. */
export function explainUnreachable(error: unknown, service: string, address: string, options: TargetOptions): unknown {
  if (!isUnreachable(error)) return error;
  return new SeamError(
    {
      reason: "ServiceUnreachable",
      object: `${service} at ${address}`,
      expected: `does not answer (${causeOf(errorMessage(error))})`,
      remedy:
        options.server === undefined
          ? `start the mesh with: ${typed("up", options.dir)}`
          : "check --server, and that --ca signs its certificate and it accepts --cert",
    },
    { cause: error },
  );
}

/** The network's own words, without those of the library around them. */
function causeOf(text: string): string {
  const found = /Last error: (?:Error: )?(.*?)\.? Resolution note/.exec(text);
  return found?.[1] ?? text;
}

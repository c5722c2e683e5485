import { Code, ConnectError } from "@connectrpc/connect";
import { BadRequestSchema, ErrorInfoSchema } from "../gen/google/rpc/error_details_pb.ts";
import { ERROR_DOMAIN, type GrpcStatusError } from "./status-error.ts";

/** Connect and gRPC share the numbers of their status codes. */
const CODES: ReadonlyMap<number, Code> = new Map(
  Object.values(Code).flatMap((code) => (typeof code === "number" ? [[code, code] as const] : [])),
);

/** The same refusal for a caller that came by Connect: code, text and the details of the rich error model. */
export function connectErrorOf(error: GrpcStatusError): ConnectError {
  const { code, details: text, parts, violations } = error;
  const details = [];
  if (parts !== undefined) {
    const { reason, object, field = "", expected, remedy = "" } = parts;
    const value = { reason, domain: ERROR_DOMAIN, metadata: { object, field, expected, remedy } };
    details.push({ desc: ErrorInfoSchema, value });
  }
  if (violations.length > 0) details.push({ desc: BadRequestSchema, value: { fieldViolations: [...violations] } });
  return new ConnectError(text, CODES.get(code) ?? Code.Unknown, undefined, details, error);
}

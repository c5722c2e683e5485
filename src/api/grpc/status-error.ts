import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { anyPack, anyUnpack } from "@bufbuild/protobuf/wkt";
import { Metadata, type StatusObject, status as Status } from "@grpc/grpc-js";
import { type ErrorParts, SeamError, errorMessage } from "../../base/errors.ts";
import { BadRequestSchema, ErrorInfoSchema } from "../gen/google/rpc/error_details_pb.ts";
import { StatusSchema } from "../gen/google/rpc/status_pb.ts";

export { Status };

/** Trailer of gRPC's rich error model. */
const DETAILS_TRAILER = "grpc-status-details-bin";
/** Domain of our reasons in google.rpc.ErrorInfo. */
export const ERROR_DOMAIN = "seam.ontai.dev";

/** One field of a request that is not as it should be, as `google.rpc.BadRequest` says it. */
export interface FieldViolation {
  readonly field: string;
  /** What was expected and what to do. */
  readonly description: string;
}

/**
 * A gRPC status that a handler answers with, or that a client received. It carries the same parts as a {@link SeamError} as
 * `google.rpc.ErrorInfo` (reason; metadata object, field, expected, remedy), so a person reads one text whichever way it came.
 */
export class GrpcStatusError extends Error {
  override readonly name = "GrpcStatusError";
  readonly code: Status;
  /** What the status message says. */
  readonly details: string;
  /** Set when the peer sent, or the handler gave, the parts. */
  readonly parts: ErrorParts | undefined;
  /** Every offending field of the request, for INVALID_ARGUMENT. */
  readonly violations: readonly FieldViolation[];

  constructor(
    code: Status,
    details: string | ErrorParts,
    options?: { cause?: unknown; violations?: readonly FieldViolation[] },
  ) {
    const text = typeof details === "string" ? details : new SeamError(details).message;
    super(text, options);
    this.code = code;
    this.details = text;
    this.parts = typeof details === "string" ? undefined : details;
    this.violations = options?.violations ?? [];
  }
}

/** The status a handler's failure is answered with. Anything that is no status and no SeamError is INTERNAL without its text. */
export function statusOf(error: unknown): GrpcStatusError {
  if (error instanceof GrpcStatusError) return error;
  if (error instanceof SeamError) return new GrpcStatusError(Status.INVALID_ARGUMENT, error.parts, { cause: error });
  return new GrpcStatusError(Status.INTERNAL, "internal error", { cause: error });
}

/** Wire form of a status, with details. */
export function statusObject(error: GrpcStatusError): StatusObject {
  const metadata = new Metadata();
  if (error.parts !== undefined) {
    const { reason, object, field, expected, remedy } = error.parts;
    const info = create(ErrorInfoSchema, {
      reason,
      domain: ERROR_DOMAIN,
      metadata: { object, field: field ?? "", expected, remedy: remedy ?? "" },
    });
    const rich = create(StatusSchema, {
      code: error.code,
      message: error.details,
      details: [
        anyPack(ErrorInfoSchema, info),
        ...(error.violations.length > 0
          ? [anyPack(BadRequestSchema, create(BadRequestSchema, { fieldViolations: [...error.violations] }))]
          : []),
      ],
    });
    metadata.set(DETAILS_TRAILER, Buffer.from(toBinary(StatusSchema, rich)));
  }
  return { code: error.code, details: error.details, metadata };
}

/** Reads what a grpc-js client call failed with. */
export function fromServiceError(error: unknown): GrpcStatusError {
  if (error instanceof GrpcStatusError) return error;
  if (!isStatusObject(error)) return new GrpcStatusError(Status.UNKNOWN, errorMessage(error), { cause: error });
  const { parts, violations } = detailsFrom(error.metadata);
  return new GrpcStatusError(error.code, parts ?? error.details, { cause: error, violations });
}

function isStatusObject(error: unknown): error is StatusObject {
  return (
    typeof error === "object" &&
    error !== null &&
    "code" in error &&
    typeof error.code === "number" &&
    "details" in error &&
    typeof error.details === "string" &&
    "metadata" in error
  );
}

interface StatusDetails {
  readonly parts: ErrorParts | undefined;
  readonly violations: readonly FieldViolation[];
}

function detailsFrom(metadata: unknown): StatusDetails {
  let parts: ErrorParts | undefined;
  let violations: readonly FieldViolation[] = [];
  if (!(metadata instanceof Metadata)) return { parts, violations };
  const [raw] = metadata.get(DETAILS_TRAILER);
  if (!(raw instanceof Uint8Array)) return { parts, violations };
  try {
    for (const detail of fromBinary(StatusSchema, raw).details) {
      const info = anyUnpack(detail, ErrorInfoSchema);
      if (info?.domain === ERROR_DOMAIN) {
        const { object = "", field = "", expected = "", remedy = "" } = info.metadata;
        parts ??= {
          reason: info.reason,
          object,
          expected,
          ...(field === "" ? {} : { field }),
          ...(remedy === "" ? {} : { remedy }),
        };
      }
      const bad = anyUnpack(detail, BadRequestSchema);
      if (bad !== undefined) violations = bad.fieldViolations.map(({ field, description }) => ({ field, description }));
    }
  } catch {
    // details of a peer that does not keep to the error model: what was read so far and the plain status stand
  }
  return { parts, violations };
}

import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import type { AuditEventFilter } from "../../api/gen/conductor/fleet/v1alpha1/audit_pb.ts";
import { type FieldViolation, GrpcStatusError, Status } from "../../api/grpc/status-error.ts";
import { rfc3339 } from "../../base/clock.ts";
import type { AuditFilter } from "../../federation/audit/audit-log-reader.ts";

/** Longest text of a filter, characters. */
const MAX_TEXT = 1_024;

/** Reads a filter. @throws GrpcStatusError INVALID_ARGUMENT with every violation */
export function auditFilter(message: AuditEventFilter | undefined): AuditFilter {
  if (message === undefined) return {};
  const violations: FieldViolation[] = [];
  const filter: Record<string, string> = {};
  for (const name of ["cluster", "subject", "action", "decision", "lineage"] as const) {
    const value = message[name];
    if (value.length > MAX_TEXT || value.includes("\0"))
      violations.push({ field: `filter.${name}`, description: `has at most ${MAX_TEXT} characters and no NUL` });
    else if (value !== "") filter[name] = value;
  }
  for (const name of ["since", "until"] as const) {
    const text = timeText(message[name]);
    if (text === undefined)
      violations.push({ field: `filter.${name}`, description: "is a time between 0001 and 9999" });
    else if (text !== "") filter[name] = text;
  }
  if (violations.length > 0) throw invalid(violations);
  return filter;
}

/** Refuses a request. */
export function invalid(violations: readonly FieldViolation[]): GrpcStatusError {
  const { field = "", description = "" } = violations[0] ?? {};
  return new GrpcStatusError(
    Status.INVALID_ARGUMENT,
    { reason: "InvalidRequest", object: "audit query", field, expected: description },
    { violations },
  );
}

/** Empty for no bound, undefined for none that a calendar has. */
function timeText(time: Timestamp | undefined): string | undefined {
  if (time === undefined) return "";
  const ms = timestampMs(time);
  return ms >= 0 && ms < Date.UTC(10_000, 0) ? rfc3339(ms) : undefined;
}

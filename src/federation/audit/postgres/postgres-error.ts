import { DatabaseError } from "pg";
import { SeamError, errorMessage } from "../../../base/errors.ts";

/** How an error bears on what is done next. */
export type PostgresFault =
  /** The transaction lost a race that it wins when it is tried again at once. */
  | "race"
  /** This data can never be stored, whatever the state of the server. */
  | "data"
  /** A partition of the month is missing. */
  | "partition"
  /** A number exists that the position does not know. */
  | "duplicate"
  /** Anything else: the server, the network, the disk. Tried again later. */
  | "store";

/** Reads an error by its SQLSTATE (PostgreSQL, appendix A). */
export function faultOf(error: unknown): PostgresFault {
  const code = error instanceof DatabaseError ? (error.code ?? "") : "";
  if (code === "40001" || code === "40P01") return "race";
  if (code === "23505") return "duplicate";
  if (code === "23514") return "partition"; // no partition of relation found for row
  if (/^(21|22|23|54)/.test(code)) return "data";
  return "store";
}

/** True when the connection must not be used again: it is gone, or it leads to a server that may not write. */
export function endsConnection(error: unknown): boolean {
  if (!(error instanceof DatabaseError)) return true;
  return error.code === undefined || /^(08|57|58|XX)/.test(error.code) || error.code === "25006";
}

/** Turns an error into one a person can act on. Nothing of it names a password: neither the driver nor the server says one. */
export function postgresError(error: unknown, object: string): Error {
  if (error instanceof SeamError) return error;
  return new SeamError({ object, ...described(error) }, { cause: error });
}

interface Described {
  readonly reason: string;
  readonly expected: string;
  readonly remedy: string;
}

function described(error: unknown): Described {
  const said = errorMessage(error);
  if (!(error instanceof DatabaseError)) {
    if (isTls(error))
      return {
        reason: "AuditSinkUntrusted",
        expected: `a server whose certificate is trusted: ${said}`,
        remedy: "check AUDIT_SINK_CA_CERT_PATH and the name in AUDIT_SINK_URL",
      };
    return {
      reason: "AuditSinkUnreachable",
      expected: `a server that answers: ${said}`,
      remedy: "check host and port of AUDIT_SINK_URL, and that the server runs",
    };
  }
  switch (error.code) {
    case "28000":
    case "28P01":
      return {
        reason: "AuditSinkDenied",
        expected: `a user and password that the server accepts: ${said}`,
        remedy: "check AUDIT_SINK_URL and AUDIT_SINK_PASSWORD_PATH",
      };
    case "3D000":
      return { reason: "AuditSinkMissing", expected: said, remedy: "create the database, owned by the sink's user" };
    case "42501":
      return {
        reason: "AuditSinkDenied",
        expected: `a user that owns schema seam_audit, or may create it: ${said}`,
        remedy: "GRANT CREATE ON DATABASE … TO the sink's user",
      };
    case "53100":
      return {
        reason: "StoreFull",
        expected: `free space on the server's disk: ${said}`,
        remedy: "free space; nothing half-written is kept, and agents send again",
      };
    case "53300":
      return {
        reason: "AuditSinkBusy",
        expected: `a connection: ${said}`,
        remedy: "raise max_connections, or lower AUDIT_SINK_CONNECTIONS",
      };
    case "57014":
      return {
        reason: "AuditSinkSlow",
        expected: `an answer within the statement timeout: ${said}`,
        remedy: "look for locks and a slow disk on the server",
      };
    case "25006":
      return {
        reason: "AuditSinkReadOnly",
        expected: `a server that may write: ${said}`,
        remedy: "point AUDIT_SINK_URL at the primary",
      };
    default:
      return {
        reason: "AuditSinkFailed",
        expected: `a statement that succeeds (SQLSTATE ${error.code ?? "unknown"}): ${said}`,
        remedy: "see the server's log",
      };
  }
}

function isTls(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = "code" in error && typeof error.code === "string" ? error.code : "";
  return (
    /^(ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|EPROTO)/.test(code) || error.message.includes("SSL")
  );
}

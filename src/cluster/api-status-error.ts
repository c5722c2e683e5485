/** `metav1.StatusReason` values the system meets. */
export type StatusReason =
  | "BadRequest"
  | "Unauthorized"
  | "Forbidden"
  | "NotFound"
  | "MethodNotAllowed"
  | "NotAcceptable"
  | "AlreadyExists"
  | "Conflict"
  | "Gone"
  | "Expired"
  | "RequestEntityTooLarge"
  | "UnsupportedMediaType"
  | "Invalid"
  | "TooManyRequests"
  | "Timeout"
  | "ServerTimeout"
  | "ServiceUnavailable"
  | "InternalError"
  /** 507 of an embedded cluster: the disk is full. Kubernetes has no word for it. */
  | "InsufficientStorage"
  | "Unknown";

/** `metav1.StatusCause`. */
export interface StatusCause {
  readonly reason?: string;
  readonly message: string;
  /** Path such as `spec.replicas`. */
  readonly field?: string;
}

/** `metav1.StatusDetails`. */
export interface StatusDetails {
  readonly name?: string;
  readonly group?: string;
  readonly kind?: string;
  readonly uid?: string;
  readonly causes?: readonly StatusCause[];
  readonly retryAfterSeconds?: number;
}

/** A refusal by the API server, as `metav1.Status` says it. */
export class ApiStatusError extends Error {
  override readonly name = "ApiStatusError";
  /** HTTP status code. */
  readonly code: number;
  readonly reason: StatusReason;
  readonly details: StatusDetails;

  constructor(code: number, reason: StatusReason, message: string, details: StatusDetails = {}) {
    super(message);
    this.code = code;
    this.reason = reason;
    this.details = details;
  }
}

/** True when `error` is an API refusal with one of `reasons`. */
export function isStatus(error: unknown, ...reasons: readonly StatusReason[]): error is ApiStatusError {
  return error instanceof ApiStatusError && reasons.includes(error.reason);
}

/** True for 410: list again. */
export function isExpired(error: unknown): error is ApiStatusError {
  return isStatus(error, "Expired", "Gone");
}

/** True when trying the same call again may help: 429, 5xx, or no API answer at all. */
export function isRetryable(error: unknown): boolean {
  return !(error instanceof ApiStatusError) || error.code === 429 || error.code >= 500;
}

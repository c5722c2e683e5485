import { isJsonObject, type JsonObject, type JsonValue } from "../base/json.ts";
import { ApiStatusError, type StatusCause, type StatusDetails, type StatusReason } from "./api-status-error.ts";

/** Reasons by HTTP status code, for answers whose body is no `metav1.Status` (a proxy in between). */
const REASON_OF_CODE: ReadonlyMap<number, StatusReason> = new Map([
  [400, "BadRequest"],
  [401, "Unauthorized"],
  [403, "Forbidden"],
  [404, "NotFound"],
  [405, "MethodNotAllowed"],
  [406, "NotAcceptable"],
  [409, "Conflict"],
  [410, "Gone"],
  [413, "RequestEntityTooLarge"],
  [415, "UnsupportedMediaType"],
  [422, "Invalid"],
  [429, "TooManyRequests"],
  [500, "InternalError"],
  [503, "ServiceUnavailable"],
  [504, "Timeout"],
  [507, "InsufficientStorage"],
]);

const REASONS: ReadonlySet<string> = new Set<StatusReason>([
  "BadRequest",
  "Unauthorized",
  "Forbidden",
  "NotFound",
  "MethodNotAllowed",
  "NotAcceptable",
  "AlreadyExists",
  "Conflict",
  "Gone",
  "Expired",
  "RequestEntityTooLarge",
  "UnsupportedMediaType",
  "Invalid",
  "TooManyRequests",
  "Timeout",
  "ServerTimeout",
  "ServiceUnavailable",
  "InternalError",
  "InsufficientStorage",
  "Unknown",
]);

/** Longest part of a body that is no Status to quote in an error. */
const MAX_QUOTED_CHARACTERS = 300;

/** The `metav1.Status` document of a refusal. */
export function statusDocument(error: ApiStatusError): JsonObject {
  const { name, group, kind, uid, causes, retryAfterSeconds } = error.details;
  const details: Record<string, JsonValue> = {};
  if (name) details["name"] = name;
  if (group) details["group"] = group;
  if (kind) details["kind"] = kind;
  if (uid) details["uid"] = uid;
  if (causes && causes.length > 0) details["causes"] = causes.map(causeDocument);
  if (retryAfterSeconds) details["retryAfterSeconds"] = retryAfterSeconds;
  return {
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Failure",
    message: error.message,
    ...(error.reason === "Unknown" ? {} : { reason: error.reason }),
    ...(Object.keys(details).length > 0 ? { details } : {}),
    code: error.code,
  };
}

/** True for a `metav1.Status` document. */
export function isStatusDocument(value: unknown): value is JsonObject {
  return isJsonObject(value) && value["kind"] === "Status" && value["apiVersion"] === "v1";
}

/**
 * The refusal that a `metav1.Status` document carries. Anything else that came with a failing HTTP status becomes an error of that
 * status, quoting the beginning of the body.
 *
 * @param retryAfterSeconds value of the Retry-After header, when there was one
 */
export function errorOfStatus(httpStatus: number, body: unknown, retryAfterSeconds?: number): ApiStatusError {
  const retry = retryAfterSeconds === undefined ? {} : { retryAfterSeconds };
  if (!isStatusDocument(body)) {
    const text = (typeof body === "string" ? body : (JSON.stringify(body) ?? ""))
      .trim()
      .slice(0, MAX_QUOTED_CHARACTERS);
    const message = text === "" ? `the server answered with HTTP status ${httpStatus}` : text;
    return new ApiStatusError(httpStatus, REASON_OF_CODE.get(httpStatus) ?? "Unknown", message, retry);
  }
  const code = typeof body["code"] === "number" ? body["code"] : httpStatus;
  const reason = body["reason"];
  return new ApiStatusError(
    code,
    typeof reason === "string" && REASONS.has(reason)
      ? (reason as StatusReason)
      : (REASON_OF_CODE.get(code) ?? "Unknown"),
    typeof body["message"] === "string" && body["message"] !== "" ? body["message"] : `HTTP status ${code}`,
    { ...detailsOf(body["details"]), ...retry },
  );
}

function causeDocument(cause: StatusCause): JsonObject {
  return { reason: cause.reason, message: cause.message, field: cause.field };
}

function detailsOf(value: unknown): StatusDetails {
  if (!isJsonObject(value)) return {};
  const details: { -readonly [K in keyof StatusDetails]: StatusDetails[K] } = {};
  if (typeof value["name"] === "string") details.name = value["name"];
  if (typeof value["group"] === "string") details.group = value["group"];
  if (typeof value["kind"] === "string") details.kind = value["kind"];
  if (typeof value["uid"] === "string") details.uid = value["uid"];
  if (typeof value["retryAfterSeconds"] === "number") details.retryAfterSeconds = value["retryAfterSeconds"];
  if (Array.isArray(value["causes"])) details.causes = (value["causes"] as readonly unknown[]).flatMap(causeOf);
  return details;
}

function causeOf(value: unknown): readonly StatusCause[] {
  if (!isJsonObject(value)) return [];
  const cause: { -readonly [K in keyof StatusCause]: StatusCause[K] } = {
    message: typeof value["message"] === "string" ? value["message"] : "",
  };
  if (typeof value["reason"] === "string") cause.reason = value["reason"];
  if (typeof value["field"] === "string") cause.field = value["field"];
  return [cause];
}

import { ServiceAccount } from "../../../api/builtin.ts";
import { type Clock, rfc3339Seconds } from "../../../base/clock.ts";
import { isJsonObject, type JsonObject } from "../../../base/json.ts";
import { ApiStatusError } from "../../api-status-error.ts";
import type { Cluster } from "../../cluster.ts";
import { badRequest } from "../api-errors.ts";
import { ISSUER, type ServiceAccountTokens } from "./service-account-tokens.ts";

const GROUP = "authentication.k8s.io";
const DEFAULT_LIFETIME_SECONDS = 3600;
const MIN_LIFETIME_SECONDS = 600;
const MAX_LIFETIME_SECONDS = 2 ** 32;
/** Audiences of one token; each is checked at every use. */
const MAX_AUDIENCES = 64;

/**
 * Answers a `TokenRequest` for a ServiceAccount.
 *
 * @throws ApiStatusError 400, 404, 422
 */
export async function answerTokenRequest(
  parts: { readonly cluster: Cluster; readonly tokens: ServiceAccountTokens; readonly clock: Clock },
  key: { readonly namespace: string; readonly name: string },
  body: JsonObject,
): Promise<JsonObject> {
  const spec = isJsonObject(body["spec"]) ? body["spec"] : {};
  const { uid = "" } = (await parts.cluster.get(ServiceAccount, key)).metadata;
  if (spec["boundObjectRef"] !== undefined && spec["boundObjectRef"] !== null)
    throw badRequest("cannot bind token to an object: this server binds tokens to their service account only");
  const lifetimeSeconds = spec["expirationSeconds"] ?? DEFAULT_LIFETIME_SECONDS;
  if (typeof lifetimeSeconds !== "number" || !Number.isSafeInteger(lifetimeSeconds))
    throw badRequest("spec.expirationSeconds must be an integer");
  if (lifetimeSeconds < MIN_LIFETIME_SECONDS)
    throw invalid(lifetimeSeconds, "may not specify a duration less than 10 minutes");
  if (lifetimeSeconds > MAX_LIFETIME_SECONDS)
    throw invalid(lifetimeSeconds, "may not specify a duration larger than 2^32 seconds");
  const listed = Array.isArray(spec["audiences"]) ? spec["audiences"] : [];
  const named = listed.filter((audience): audience is string => typeof audience === "string");
  if (named.length > MAX_AUDIENCES) throw badRequest(`a token has at most ${MAX_AUDIENCES} audiences`);
  const audiences = named.length === 0 ? [ISSUER] : named;
  const nowMs = parts.clock.now();
  const token = parts.tokens.issue({ ...key, uid }, audiences, lifetimeSeconds);
  return {
    kind: "TokenRequest",
    apiVersion: `${GROUP}/v1`,
    metadata: { ...key, uid, creationTimestamp: rfc3339Seconds(nowMs) },
    spec: { audiences, expirationSeconds: lifetimeSeconds, boundObjectRef: null },
    status: { token, expirationTimestamp: rfc3339Seconds(nowMs + lifetimeSeconds * 1000) },
  };
}

function invalid(value: number, why: string): ApiStatusError {
  const field = "spec.expirationSeconds";
  const message = `Invalid value: ${value}: ${why}`;
  const causes = [{ reason: "FieldValueInvalid", field, message }];
  const details = { group: GROUP, kind: "TokenRequest", causes };
  return new ApiStatusError(422, "Invalid", `TokenRequest.${GROUP} "" is invalid: ${field}: ${message}`, details);
}

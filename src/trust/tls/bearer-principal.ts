import type { Metadata } from "@grpc/grpc-js";
import type { Principal } from "../../api/grpc/principal.ts";
import { GrpcStatusError, Status } from "../../api/grpc/status-error.ts";
import type { Authentication } from "./tls-listener.ts";

const BEARER = /^Bearer ([^\s]{1,16384})$/i;

/**
 * Who holds the bearer token of a call; undefined where tokens mean nothing.
 *
 * @throws GrpcStatusError UNAUTHENTICATED
 */
export async function principalOfToken(
  metadata: Metadata,
  authenticate: ((token: string) => Promise<Authentication>) | undefined,
): Promise<Principal | undefined> {
  if (authenticate === undefined) return undefined;
  const [header] = metadata.get("authorization");
  const token = typeof header === "string" ? BEARER.exec(header)?.[1] : undefined;
  if (token === undefined)
    throw new GrpcStatusError(Status.UNAUTHENTICATED, {
      reason: "CredentialsMissing",
      object: "call",
      field: "authorization",
      expected: "a client certificate or a bearer token",
      remedy: "present a client certificate of the internal CA, or a service-account token",
    });
  const verdict = await authenticate(token);
  if (!verdict.ok)
    throw new GrpcStatusError(Status.UNAUTHENTICATED, {
      reason: verdict.reason,
      object: "bearer token",
      expected: verdict.detail,
    });
  return verdict.principal;
}

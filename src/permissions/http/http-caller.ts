import { Metadata } from "@grpc/grpc-js";
import type { Principal } from "../../api/grpc/principal.ts";
import type { CallContext } from "../../api/grpc/call-context.ts";
import type { GrpcServerOptions } from "../../trust/tls/grpc-server.ts";
import { HttpProblem } from "./http-problem.ts";
import { type HttpRequest, headerOf } from "./http-exchange.ts";

/** Who sends a request. */
export interface HttpCaller {
  readonly principal: Principal;
  /** `address:port` of the other end. */
  readonly peer: string;
}

/** How service-account tokens are checked. */
export type TokenAuthenticator = NonNullable<GrpcServerOptions["authenticateToken"]>;

const BEARER = /^Bearer ([^\s]{1,16384})$/i;
const CHALLENGE = { "www-authenticate": "Bearer" };

/**
 * The holder of the connection's client certificate, else of the request's bearer token.
 *
 * @throws HttpProblem 401
 */
export async function callerOf(
  request: HttpRequest,
  peer: string,
  certified: Principal | undefined,
  authenticateToken: TokenAuthenticator | undefined,
): Promise<HttpCaller> {
  if (certified !== undefined) return { principal: certified, peer };
  const token = BEARER.exec(headerOf(request, "authorization") ?? "")?.[1];
  if (token === undefined || authenticateToken === undefined)
    throw new HttpProblem(401, "Unauthorized", "a client certificate or a bearer token is required", CHALLENGE);
  const verdict = await authenticateToken(token);
  if (!verdict.ok || verdict.principal === undefined)
    throw new HttpProblem(
      401,
      "Unauthorized",
      `the bearer token is refused${verdict.ok ? "" : `: ${verdict.detail}`}`,
      CHALLENGE,
    );
  return { principal: verdict.principal, peer };
}

/** A caller as the methods of the service see it. `signal` aborts when the answer is no longer wanted. */
export function callContext({ principal, peer }: HttpCaller, signal: AbortSignal): CallContext {
  return { signal, principal, peer, metadata: new Metadata() };
}

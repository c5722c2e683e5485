import type { Principal } from "../../api/grpc/principal.ts";
import { GrpcStatusError, Status } from "../../api/grpc/status-error.ts";
import type { Authentication } from "../../trust/tls/tls-listener.ts";

/** Reasons of a verdict that says nothing about the token: it could not be looked at. */
const UNABLE: ReadonlySet<string> = new Set(["TokenReviewUnavailable", "TokenReviewBusy"]);

/**
 * Somebody with a token that nobody could review. Questions are answered with no and why, since an inability to decide is an answer
 * and no transport error (permissions §11.1); without a name it has no rights, not even those of everybody.
 */
const UNREVIEWED: Principal = {
  kind: "token",
  name: "",
  groups: [],
  certificateSerial: "",
  notAfterMs: Number.POSITIVE_INFINITY,
};

type Authenticate = (token: string) => Promise<Authentication>;

/** Lets tokens that could not be reviewed pass as somebody without rights; those that were refused stay refused. */
export function orUnreviewed(authenticate: Authenticate): Authenticate {
  return async (token) => {
    const verdict = await authenticate(token);
    return !verdict.ok && UNABLE.has(verdict.reason) ? { ok: true, principal: UNREVIEWED } : verdict;
  };
}

/** True for somebody whose token could not be reviewed. */
export function isUnreviewed(caller: Principal | undefined): boolean {
  return caller?.kind === "token" && caller.name === "";
}

/** For answers that are no decision and so have no way to say no. @throws GrpcStatusError UNAVAILABLE */
export function requireReviewed(caller: Principal | undefined): void {
  if (isUnreviewed(caller))
    throw new GrpcStatusError(Status.UNAVAILABLE, {
      reason: "TokenReviewUnavailable",
      object: "bearer token",
      expected: "to be reviewed by the API server, which does not answer",
      remedy: "try again, or present a client certificate",
    });
}

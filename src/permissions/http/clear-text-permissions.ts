import type { IncomingMessage, ServerResponse } from "node:http";
import { BlockList, isIPv6 } from "node:net";
import { errorMessage } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { orUnreviewed } from "../service/unreviewed-caller.ts";
import type { PermissionMethods } from "../service/permission-handlers.ts";
import { type TokenAuthenticator, callerOf } from "./http-caller.ts";
import { pathOf } from "./http-exchange.ts";
import { HttpProblem } from "./http-problem.ts";
import { CONNECT_PREFIX, lateConnectForm } from "./late-connect-form.ts";
import { endLateBody, refuseRequest } from "./refuse-request.ts";

/** Requests answered at once: people with curl and a few browsers. */
const MAX_IN_FLIGHT = 64;

/** Options of {@link clearTextPermissions}. */
export interface ClearTextOptions {
  /** The methods that the gRPC service serves: `RunningPermissionService.methods`. */
  readonly methods: PermissionMethods;
  /** Absent where no tokens exist: then nobody can be known here, and every request is refused. */
  readonly authenticateToken?: TokenAuthenticator;
  /** Default: {@link endLateBody}'s. */
  readonly bodyDeadlineMs?: number;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/**
 * PermissionService as Connect on the ops port, for curl and browsers, beside health and metrics. That port has no TLS, so callers are
 * known by their token alone, and a token is taken from this machine only: a sidecar, a shell in the pod, `kubectl port-forward`. Whoever
 * is elsewhere asks port 8443. The handler says false for paths that are not its own.
 */
export function clearTextPermissions(
  options: ClearTextOptions,
): (request: IncomingMessage, response: ServerResponse) => boolean {
  const { methods, log, signal } = options;
  const connect = lateConnectForm(methods, log, signal);
  const authenticate = options.authenticateToken === undefined ? undefined : orUnreviewed(options.authenticateToken);
  let underWay = 0;

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { remoteAddress = "", remotePort = 0 } = request.socket;
    if (!isLocal(remoteAddress))
      throw new HttpProblem(
        403,
        "Forbidden",
        "this port has no TLS and takes tokens from its own machine only; ask over HTTPS on the webhook port (8443), or by kubectl port-forward",
      );
    if (authenticate === undefined)
      throw new HttpProblem(
        401,
        "Unauthorized",
        "this cluster issues no tokens, and this port has no TLS for a client certificate; ask over HTTPS on the webhook port (8443)",
      );
    const caller = await callerOf(request, `${remoteAddress}:${remotePort}`, undefined, authenticate);
    await connect(request, response, caller);
  };

  return (request, response) => {
    if (!pathOf(request).startsWith(CONNECT_PREFIX)) return false;
    if (signal.aborted || underWay >= MAX_IN_FLIGHT) {
      const message = signal.aborted ? "the service stops" : `at most ${MAX_IN_FLIGHT} requests at once`;
      refuseRequest(request, response, new HttpProblem(503, "ServiceUnavailable", message, { "retry-after": "1" }));
      return true;
    }
    underWay++;
    response.once("close", () => {
      underWay--;
    });
    request.on("error", (error: Error) => log.debug({ error: error.message }, "request failed"));
    endLateBody(request, response, options.bodyDeadlineMs);
    answer(request, response).catch((error: unknown) => {
      if (!(error instanceof HttpProblem) && !request.destroyed)
        log.error({ error: errorMessage(error) }, "HTTP request failed");
      refuseRequest(request, response, error);
    });
    return true;
  };
}

function isLocal(address: string): boolean {
  const loopback = new BlockList();
  loopback.addSubnet("127.0.0.0", 8, "ipv4");
  loopback.addAddress("::1", "ipv6");
  // An IPv4 caller of a listener on :: has a mapped address.
  const plain = address.startsWith("::ffff:") ? address.slice("::ffff:".length) : address;
  return plain !== "" && loopback.check(plain, isIPv6(plain) ? "ipv6" : "ipv4");
}

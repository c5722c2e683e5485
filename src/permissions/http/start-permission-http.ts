import type { Clock } from "../../base/clock.ts";
import { errorMessage } from "../../base/errors.ts";
import type { JsonObject } from "../../base/json.ts";
import type { Log } from "../../base/log.ts";
import { type Metrics, silentMetrics } from "../../base/metrics.ts";
import { type ConnectionLimits, DEFAULT_CONNECTION_LIMITS } from "../../trust/tls/connection-limits.ts";
import { startTlsListener } from "../../trust/tls/tls-listener.ts";
import type { TlsSource } from "../../trust/tls/tls-material.ts";
import { authenticateCaller } from "../service/caller.ts";
import type { PermissionMethods } from "../service/permission-handlers.ts";
import { orUnreviewed } from "../service/unreviewed-caller.ts";
import { AUTHZEN_PATHS, answerEvaluation, answerEvaluations } from "./authzen.ts";
import { CONNECT_PREFIX, lateConnectForm } from "./late-connect-form.ts";
import { type TokenAuthenticator, callContext, callerOf } from "./http-caller.ts";
import { httpConnections } from "./http-connections.ts";
import { type HttpRequest, type HttpResponse, headerOf, pathOf, sendJson } from "./http-exchange.ts";
import { HttpProblem } from "./http-problem.ts";
import { readJson } from "./read-json.ts";
import { endLateBody, refuseRequest } from "./refuse-request.ts";
import { SUBJECT_ACCESS_REVIEW_PATH, answerSubjectAccessReview } from "./subject-access-review.ts";

/** Requests answered at once over all connections; beyond it 503. */
const MAX_IN_FLIGHT = 1_024;
const MAX_REQUEST_ID = 128;

/** Options of {@link startPermissionHttp}. */
export interface PermissionHttpOptions {
  /** Interface to listen on. */
  readonly address: string;
  /** 0 picks a free one; 8443 by convention. */
  readonly port: number;
  /** Serving certificate, and the CA of callers' client certificates. */
  readonly tls: TlsSource;
  /** The methods that the gRPC service serves: `RunningPermissionService.methods`. */
  readonly methods: PermissionMethods;
  /** Takes service-account tokens as well, when given. */
  readonly authenticateToken?: TokenAuthenticator;
  readonly limits?: Partial<ConnectionLimits>;
  /** Default: {@link endLateBody}'s. */
  readonly bodyDeadlineMs?: number;
  readonly clock: Clock;
  readonly metrics?: Metrics;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** The HTTP forms, running. */
export interface PermissionHttp {
  readonly port: number;
  /** Resolves when the signal has aborted and every connection is gone. */
  readonly closed: Promise<void>;
}

/**
 * Serves the HTTP forms of PermissionService over TLS 1.3, HTTP/2 and HTTP/1.1: the API server's SubjectAccessReview webhook, AuthZEN
 * 1.0, and Connect. Callers show a client certificate or a bearer token, as they do on gRPC.
 *
 * @throws SeamError `ListenFailed`
 */
export async function startPermissionHttp(options: PermissionHttpOptions): Promise<PermissionHttp> {
  const { clock, log, signal, methods } = options;
  const limits: ConnectionLimits = { ...DEFAULT_CONNECTION_LIMITS, ...options.limits };
  const metrics = options.metrics ?? silentMetrics;
  const connect = lateConnectForm(methods, log, signal);
  const authenticate = options.authenticateToken === undefined ? undefined : orUnreviewed(options.authenticateToken);
  const forms: ReadonlyMap<string, Form> = new Map<string, Form>([
    [SUBJECT_ACCESS_REVIEW_PATH, (body, context) => answerSubjectAccessReview(body, context, methods)],
    [AUTHZEN_PATHS.evaluation, (body, context, id) => answerEvaluation(body, id, context, methods)],
    [AUTHZEN_PATHS.evaluations, (body, context, id) => answerEvaluations(body, id, context, methods)],
  ]);
  const underWay = new Set<HttpResponse>();
  const idle = { wake: (): void => {} };

  const answer = async (request: HttpRequest, response: HttpResponse): Promise<void> => {
    const path = pathOf(request);
    const form = forms.get(path);
    if (form === undefined && !path.startsWith(CONNECT_PREFIX))
      throw new HttpProblem(404, "NotFound", "no such path; see docs/permission-http.md");
    const peer = peerOf(request);
    const connection = listener.connection(peer);
    const caller = await callerOf(request, peer, connection?.principal, authenticate);
    if (form === undefined) {
      await connect(request, response, caller);
      return;
    }
    if (request.method !== "POST")
      throw new HttpProblem(405, "MethodNotAllowed", `${request.method} is not served here`, { allow: "POST" });
    const requestId = headerOf(request, "x-request-id") ?? "";
    if (requestId.length > MAX_REQUEST_ID)
      throw new HttpProblem(400, "BadRequest", `x-request-id has at most ${MAX_REQUEST_ID} characters`);
    const body = await readJson(request);
    const context = callContext(caller, AbortSignal.any([signal, goneSignal(response)]));
    const result = await form(body, context, requestId);
    sendJson(response, 200, result, requestId === "" ? {} : { "x-request-id": requestId });
  };

  const connections = httpConnections((request, response) => {
    response.on("error", (error: Error) => log.debug({ error: error.message }, "response failed"));
    request.on("error", (error: Error) => log.debug({ error: error.message }, "request failed"));
    listener.connection(peerOf(request))?.called();
    response.once("close", () => {
      metrics.count("permission_http_requests_total", {
        form: formName(pathOf(request)),
        code: String(response.statusCode),
      });
    });
    if (signal.aborted || underWay.size >= MAX_IN_FLIGHT) {
      const message = signal.aborted ? "the service stops" : "too many requests at once";
      refuseRequest(request, response, new HttpProblem(503, "ServiceUnavailable", message, { "retry-after": "1" }));
      return;
    }
    underWay.add(response);
    response.once("close", () => {
      underWay.delete(response);
      if (underWay.size === 0) idle.wake();
    });
    endLateBody(request, response, options.bodyDeadlineMs);
    answer(request, response).catch((error: unknown) => {
      if (!(error instanceof HttpProblem) && !request.destroyed)
        log.error({ error: errorMessage(error) }, "HTTP request failed");
      refuseRequest(request, response, error);
    });
  }, limits);

  const transport = new AbortController();
  const listener = await startTlsListener({
    address: options.address,
    port: options.port,
    tls: options.tls,
    protocols: ["h2", "http/1.1"],
    clientCertificate: options.authenticateToken === undefined ? "required" : "optional",
    authenticate: (certificate) =>
      certificate === undefined && options.authenticateToken !== undefined
        ? { ok: true, principal: undefined }
        : authenticateCaller(certificate, clock.now()),
    onConnection: (socket) => connections.take(socket),
    limits,
    clock,
    log,
    metrics,
    signal: transport.signal,
  });
  const stop = async (): Promise<void> => {
    listener.stopAccepting();
    const late = new AbortController();
    const drained = new Promise<void>((resolve) => {
      idle.wake = resolve;
      if (underWay.size === 0) resolve();
    });
    await Promise.race([
      drained,
      clock.sleep(limits.stopGraceMs, late.signal).catch(() => {
        // the last answers left first
      }),
    ]);
    late.abort();
    transport.abort();
    await listener.closed;
  };
  const closed = new Promise<void>((resolve, reject) => {
    const begin = (): void => {
      stop().then(resolve, reject);
    };
    if (signal.aborted) begin();
    else signal.addEventListener("abort", begin, { once: true });
  });
  return { port: listener.port, closed };
}

/** Answers a body that was read. */
type Form = (body: JsonObject, context: ReturnType<typeof callContext>, requestId: string) => Promise<JsonObject>;

/** For the metric: few values, whatever is asked for. */
function formName(path: string): string {
  if (path === SUBJECT_ACCESS_REVIEW_PATH) return "subjectaccessreview";
  if (path === AUTHZEN_PATHS.evaluation || path === AUTHZEN_PATHS.evaluations) return "authzen";
  return path.startsWith(CONNECT_PREFIX) ? "connect" : "other";
}

function peerOf({ socket }: HttpRequest): string {
  return `${socket.remoteAddress ?? "unknown"}:${socket.remotePort ?? 0}`;
}

function goneSignal(response: HttpResponse): AbortSignal {
  const gone = new AbortController();
  response.once("close", () => gone.abort());
  return gone.signal;
}

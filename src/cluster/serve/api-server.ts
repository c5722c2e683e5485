import type { Clock } from "../../base/clock.ts";
import { errorMessage } from "../../base/errors.ts";
import { isJsonObject, type JsonObject } from "../../base/json.ts";
import type { Log } from "../../base/log.ts";
import type { Random } from "../../base/random.ts";
import { ApiStatusError } from "../api-status-error.ts";
import type { DiscoveredResource, Discovery } from "../cluster.ts";
import type { PodLogs } from "../pod-logs.ts";
import { answerReview, REVIEW_RESOURCES } from "./access-reviews.ts";
import { badRequest, forbidden, methodNotAllowed, resourceNotServed } from "./api-errors.ts";
import type { ApiMetrics, RunningRequest } from "./api-metrics.ts";
import type { ApiRequest, ApiResponse } from "./api-request.ts";
import { Authenticator } from "./authentication.ts";
import type { AccessAttributes, Authorizer } from "./authorizer.ts";
import { answerDocument } from "./document-requests.ts";
import { BACKUP_PATH, sendBackup } from "./backup-response.ts";
import { builtInSchemas } from "./built-in-schemas.ts";
import { Exchange } from "./exchange.ts";
import type { Health } from "./health.ts";
import { impersonated } from "./impersonation.ts";
import { negotiate } from "./negotiation.ts";
import { answerPodLog } from "./pod-log-requests.ts";
import { ProtobufDecoder } from "./protobuf/decode.ts";
import type { Rbac } from "./rbac/start-rbac.ts";
import { decodeBody, readBody } from "./request-body.ts";
import { isLong, methodVerb, requestLabels, resourceVerb } from "./request-verb.ts";
import { requestTarget, type RequestTarget } from "./request-target.ts";
import { ResourceRequests } from "./resource-requests.ts";
import type { ResourceTarget } from "./resource-target.ts";
import type { ServiceAccountTokens } from "./tokens/service-account-tokens.ts";
import { answerTokenRequest } from "./tokens/token-request.ts";
import type { ServedCluster } from "./served-cluster.ts";
import { ServedSurface } from "./served-surface.ts";
import type { User } from "./user.ts";

type ResourcePath = Extract<RequestTarget, { readonly type: "resource" }>;

/** What {@link ApiServer} works with. */
export interface ApiServerParts {
  readonly cluster: ServedCluster;
  readonly authorizer: Authorizer;
  readonly escalation: Rbac["escalation"];
  readonly adminToken: string | undefined;
  readonly tokens: ServiceAccountTokens;
  readonly podLogs: PodLogs | undefined;
  readonly health: Health;
  readonly metrics: ApiMetrics;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** The Kubernetes REST API over a cluster: who asks, whether he may, what for, and the answer. */
export class ApiServer {
  readonly #parts: ApiServerParts;
  readonly #authenticator: Authenticator;
  readonly #requests: ResourceRequests;
  readonly #protobuf = new ProtobufDecoder();
  readonly #builtIn = builtInSchemas();
  #discovery: Discovery | undefined;
  #surface: ServedSurface | undefined;

  constructor(parts: ApiServerParts) {
    this.#parts = parts;
    this.#authenticator = new Authenticator(parts.clock, parts.adminToken, parts.tokens);
    this.#requests = new ResourceRequests({ ...parts, protobuf: this.#protobuf });
  }

  /** Answers one request; never rejects. `signal` aborts when the client goes or the server stops. */
  async handle(request: ApiRequest, response: ApiResponse, signal: AbortSignal): Promise<void> {
    const { metrics, clock } = this.#parts;
    const startedMs = clock.monotonic();
    const exchange = new Exchange(request, response);
    const running: { current: RunningRequest | undefined } = { current: undefined };
    try {
      const user = await this.#authenticate(request);
      exchange.user = await impersonated(user, request, this.#parts.authorizer);
      const target = requestTarget(exchange.path);
      const surface = await this.#served();
      running.current = { labels: requestLabels(exchange, target, surface), longRunning: isLong(exchange), startedMs };
      metrics.begin(running.current);
      await this.#route(exchange, target, surface, signal);
    } catch (error) {
      this.#fail(exchange, error, signal);
    } finally {
      const { current } = running;
      if (current !== undefined) metrics.end(current, exchange.status, exchange.query.has("dryRun"), clock.monotonic());
    }
  }

  #fail(exchange: Exchange, error: unknown, signal: AbortSignal): void {
    const { request, response } = exchange;
    if (response.headersSent || signal.aborted) {
      if (!signal.aborted) this.#logFailure(request, error);
      response.destroy();
      return;
    }
    if (!(error instanceof ApiStatusError)) this.#logFailure(request, error);
    exchange.refuse(
      error instanceof ApiStatusError
        ? error
        : new ApiStatusError(500, "InternalError", "Internal error occurred: see the log of the server"),
    );
  }

  async #authenticate(request: ApiRequest): Promise<User> {
    const { metrics } = this.#parts;
    try {
      const user = await this.#authenticator.authenticate(request);
      metrics.authenticated("success");
      return user;
    } catch (error) {
      metrics.authenticated(error instanceof ApiStatusError ? "failure" : "error");
      throw error;
    }
  }

  async #route(exchange: Exchange, target: RequestTarget, surface: ServedSurface, signal: AbortSignal): Promise<void> {
    if (target.type === "path") {
      await this.#authorize(exchange, { type: "nonResource", verb: methodVerb(exchange), path: target.path });
      if (exchange.request.method !== "GET" && exchange.request.method !== "HEAD") throw methodNotAllowed();
      const { cluster, health, metrics } = this.#parts;
      if (target.path === BACKUP_PATH && exchange.request.method === "GET") {
        await sendBackup(exchange, this.#parts, signal);
        return;
      }
      const found = await answerDocument(exchange, { cluster, builtIn: this.#builtIn, surface, health, metrics });
      if (!found) pageNotFound(exchange);
      return;
    }
    const verb = resourceVerb(exchange, target);
    const { group, version, namespace, name, subresource } = target;
    await this.#authorize(exchange, {
      type: "resource",
      verb,
      group,
      version,
      resource: target.resource,
      subresource,
      // A namespace is an object in itself for authorization.
      namespace: target.resource === "namespaces" && group === "" ? name : namespace,
      name,
    });
    const resource = surface.find(group, version, target.resource);
    if (resource === undefined) {
      if (surface.hasGroupVersion(group, version)) throw resourceNotServed();
      pageNotFound(exchange);
      return;
    }
    if (REVIEW_RESOURCES.includes(resource)) {
      await this.#review(exchange, resource, target, verb);
      return;
    }
    if (group === "" && target.resource === "serviceaccounts" && subresource === "token") {
      if (verb !== "create") throw methodNotAllowed();
      const encoding = negotiate(exchange.header("accept"));
      const body = await this.#question(exchange, "TokenRequest");
      exchange.send(201, await answerTokenRequest(this.#parts, { namespace, name }, body), encoding);
      return;
    }
    if (group === "" && target.resource === "pods" && subresource === "log") {
      if (verb !== "get") throw methodNotAllowed();
      await answerPodLog(exchange, this.#parts, { namespace, name }, signal);
      return;
    }
    await this.#requests.answer(exchange, checkedTarget(resource, target, verb), verb, signal);
  }

  async #review(
    exchange: Exchange,
    resource: DiscoveredResource,
    { namespace, name }: ResourcePath,
    verb: string,
  ): Promise<void> {
    if (verb !== "create" || name !== "") throw methodNotAllowed();
    const encoding = negotiate(exchange.header("accept"));
    const body = await this.#question(exchange, resource.kind);
    const parts = { authorizer: this.#parts.authorizer, authenticator: this.#authenticator };
    exchange.send(201, await answerReview(parts, resource, body, exchange.user, namespace), encoding);
  }

  async #question(exchange: Exchange, kind: string): Promise<JsonObject> {
    const bytes = await readBody(exchange.request, this.#parts.clock);
    const { value } = decodeBody(bytes, exchange.header("content-type"), kind, this.#protobuf);
    if (!isJsonObject(value)) throw badRequest(`the object provided is unrecognized (must be of type ${kind})`);
    return value;
  }

  async #authorize(exchange: Exchange, attributes: AccessAttributes): Promise<void> {
    const { allowed, reason } = await this.#parts.authorizer.authorize(exchange.user, attributes);
    if (!allowed) throw forbidden(exchange.user, attributes, reason);
  }

  /** What is served; the cluster answers with another discovery when a kind came or went. */
  async #served(): Promise<ServedSurface> {
    const discovery = await this.#parts.cluster.discover();
    if (this.#surface === undefined || discovery !== this.#discovery) {
      this.#discovery = discovery;
      this.#surface = new ServedSurface(discovery);
    }
    return this.#surface;
  }

  #logFailure(request: ApiRequest, error: unknown): void {
    const { method, url } = request;
    this.#parts.log.error({ method, url, error: errorMessage(error) }, "a request failed");
  }
}

function pageNotFound(exchange: Exchange): void {
  exchange.sendText(404, "404 page not found\n", "text/plain; charset=utf-8");
}

/** The target as handlers take it. @throws ApiStatusError 404, 405 for paths that do not fit the resource */
function checkedTarget(resource: DiscoveredResource, target: ResourcePath, verb: string): ResourceTarget {
  const { namespace, name, subresource } = target;
  if (!resource.namespaced && namespace !== "") throw resourceNotServed();
  if (resource.namespaced && namespace === "") {
    if (name !== "") throw resourceNotServed();
    if (verb === "create") throw methodNotAllowed();
  }
  if (subresource === "") return { resource, namespace, name, subresource };
  const known = (["status", "scale", "finalize"] as const).find((each) => each === subresource);
  if (known === undefined || !resource.subresources.includes(known)) throw resourceNotServed();
  return { resource, namespace, name, subresource: known };
}

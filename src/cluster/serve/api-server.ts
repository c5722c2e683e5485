import type { IncomingMessage, ServerResponse } from "node:http";
import type { Clock } from "../../base/clock.ts";
import { errorMessage } from "../../base/errors.ts";
import { isJsonObject, type JsonObject } from "../../base/json.ts";
import type { Log } from "../../base/log.ts";
import type { Random } from "../../base/random.ts";
import { ApiStatusError } from "../api-status-error.ts";
import type { DiscoveredResource } from "../cluster.ts";
import { answerReview, REVIEW_RESOURCES } from "./access-reviews.ts";
import { badRequest, forbidden, methodNotAllowed, resourceNotServed } from "./api-errors.ts";
import { Authenticator } from "./authentication.ts";
import type { AccessAttributes, Authorizer } from "./authorizer.ts";
import { answerDocument } from "./document-requests.ts";
import { BACKUP_PATH, sendBackup } from "./backup-response.ts";
import { builtInSchemas } from "./built-in-schemas.ts";
import { Exchange } from "./exchange.ts";
import { impersonated } from "./impersonation.ts";
import { negotiate } from "./negotiation.ts";
import { ProtobufDecoder } from "./protobuf/decode.ts";
import { booleanParameter } from "./query-options.ts";
import type { Rbac } from "./rbac/start-rbac.ts";
import { decodeBody, readBody } from "./request-body.ts";
import { requestTarget, type RequestTarget } from "./request-target.ts";
import { ResourceRequests, type ResourceTarget } from "./resource-requests.ts";
import type { ServiceAccountTokens } from "./tokens/service-account-tokens.ts";
import { answerTokenRequest } from "./tokens/token-request.ts";
import type { ServedCluster } from "./served-cluster.ts";

type ResourcePath = Extract<RequestTarget, { readonly type: "resource" }>;

/** What {@link ApiServer} works with. */
export interface ApiServerParts {
  readonly cluster: ServedCluster;
  readonly authorizer: Authorizer;
  readonly escalation: Rbac["escalation"];
  readonly adminToken: string | undefined;
  readonly tokens: ServiceAccountTokens;
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

  constructor(parts: ApiServerParts) {
    this.#parts = parts;
    this.#authenticator = new Authenticator(parts.clock, parts.adminToken, parts.tokens);
    this.#requests = new ResourceRequests({ ...parts, protobuf: this.#protobuf });
  }

  /** Answers one request; never rejects. `signal` aborts when the client goes or the server stops. */
  async handle(request: IncomingMessage, response: ServerResponse, signal: AbortSignal): Promise<void> {
    let exchange = new Exchange(request, response, { name: "", groups: [] });
    try {
      const user = await this.#authenticator.authenticate(request);
      exchange = new Exchange(request, response, user);
      const actsAs = await impersonated(user, request, this.#parts.authorizer);
      if (actsAs !== user) exchange = new Exchange(request, response, actsAs);
      await this.#route(exchange, requestTarget(exchange.path), signal);
    } catch (error) {
      if (response.headersSent || response.destroyed || signal.aborted) {
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
  }

  async #route(exchange: Exchange, target: RequestTarget, signal: AbortSignal): Promise<void> {
    if (target.type === "path") {
      await this.#authorize(exchange, { type: "nonResource", verb: methodVerb(exchange), path: target.path });
      if (exchange.request.method !== "GET" && exchange.request.method !== "HEAD") throw methodNotAllowed();
      if (target.path === BACKUP_PATH && exchange.request.method === "GET") {
        await sendBackup(exchange, this.#parts.cluster, signal);
        return;
      }
      const resources = await this.#resources();
      if (!answerDocument(exchange, this.#parts.cluster, this.#builtIn, resources))
        exchange.sendText(404, "404 page not found\n", "text/plain; charset=utf-8");
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
    const resources = await this.#resources();
    const resource = resources.find(
      (each) => each.group === group && each.version === version && each.resource === target.resource,
    );
    if (resource === undefined) {
      if (resources.some((each) => each.group === group && each.version === version)) throw resourceNotServed();
      exchange.sendText(404, "404 page not found\n", "text/plain; charset=utf-8");
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
    const bytes = await readBody(exchange.request);
    const { value } = decodeBody(bytes, exchange.header("content-type"), kind, this.#protobuf);
    if (!isJsonObject(value)) throw badRequest(`the object provided is unrecognized (must be of type ${kind})`);
    return value;
  }

  async #authorize(exchange: Exchange, attributes: AccessAttributes): Promise<void> {
    const { allowed, reason } = await this.#parts.authorizer.authorize(exchange.user, attributes);
    if (!allowed) throw forbidden(exchange.user, attributes, reason);
  }

  /** Stored resources and reviews, what discovery shows. */
  async #resources(): Promise<readonly DiscoveredResource[]> {
    const { resources } = await this.#parts.cluster.discover();
    return [...resources, ...REVIEW_RESOURCES];
  }

  #logFailure(request: IncomingMessage, error: unknown): void {
    const { method, url } = request;
    this.#parts.log.error({ method, url, error: errorMessage(error) }, "a request failed");
  }
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
  if ((subresource !== "status" && subresource !== "scale") || !resource.subresources.includes(subresource))
    throw resourceNotServed();
  return { resource, namespace, name, subresource };
}

/** The verb of authorization and handlers. @throws ApiStatusError 405 */
function resourceVerb(exchange: Exchange, { name, subresource }: ResourcePath): string {
  const collection = name === "";
  switch (exchange.request.method) {
    case "GET":
    case "HEAD":
      if (booleanParameter(exchange.query, "watch")) return "watch";
      return collection ? "list" : "get";
    case "POST":
      if (!collection && subresource === "") throw methodNotAllowed();
      return "create";
    case "PUT":
      if (collection) throw methodNotAllowed();
      return "update";
    case "PATCH":
      if (collection) throw methodNotAllowed();
      return "patch";
    case "DELETE":
      return collection ? "deletecollection" : "delete";
    default:
      throw methodNotAllowed();
  }
}

function methodVerb(exchange: Exchange): string {
  const method = exchange.request.method ?? "GET";
  return method === "HEAD" ? "get" : method.toLowerCase();
}

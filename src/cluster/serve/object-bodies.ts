import type { Unstructured } from "../../api/object.ts";
import { apiVersionOf } from "../../api/resource-type.ts";
import type { Clock } from "../../base/clock.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../base/json.ts";
import type { DeleteOptions, DiscoveredResource, Patch, WriteOptions } from "../cluster.ts";
import { badRequest } from "./api-errors.ts";
import { builtInSchemas } from "./built-in-schemas.ts";
import { deleteOptions } from "./delete-options.ts";
import type { Exchange } from "./exchange.ts";
import { decodePatch, jsonPatch } from "./patch-body.ts";
import type { ProtobufDecoder } from "./protobuf/decode.ts";
import { type DecodedBody, decodeBody, decodeYaml, readBody } from "./request-body.ts";
import type { ResourceTarget } from "./resource-target.ts";
import { UnknownMembers } from "./unknown-members.ts";

/** Reads what requests for objects carry: decoded, checked for members that the kind does not have, and for the object that the path names. */
export class ObjectBodies {
  readonly #protobuf: ProtobufDecoder;
  readonly #clock: Clock;
  readonly #unknown = new UnknownMembers(builtInSchemas());

  constructor(protobuf: ProtobufDecoder, clock: Clock) {
    this.#protobuf = protobuf;
    this.#clock = clock;
  }

  /** Reads an object and checks that it is the one that the path names. @throws ApiStatusError 400, 413, 415 */
  async object(exchange: Exchange, target: ResourceTarget, options: WriteOptions): Promise<Unstructured> {
    const { resource, namespace, name } = target;
    const body = asObject(await this.#body(exchange, resource.kind, options, resource), resource.kind);
    const metadata = body["metadata"] ?? {};
    if (!isJsonObject(metadata)) throw badRequest("the metadata of the provided object is no object");
    const ownNamespace = metadata["namespace"] ?? "";
    if (namespace !== "" && ownNamespace !== "" && ownNamespace !== namespace)
      throw badRequest("the namespace of the provided object does not match the namespace sent on the request");
    if (name !== "" && metadata["name"] !== name)
      throw badRequest(
        `the name of the object (${show(metadata["name"] ?? "")}) does not match the name on the URL (${name})`,
      );
    // What it says of its kind is judged by the write path of the cluster, which takes what is not said from the path.
    const object: JsonObject = {
      ...body,
      apiVersion: body["apiVersion"] ?? apiVersionOf(resource),
      kind: body["kind"] ?? resource.kind,
      metadata: namespace === "" ? metadata : { ...metadata, namespace },
    };
    // The write path of the cluster checks everything else.
    return object as unknown as Unstructured;
  }

  async #body(
    exchange: Exchange,
    kind: string,
    options: WriteOptions,
    resource?: DiscoveredResource,
  ): Promise<JsonValue> {
    const bytes = await readBody(exchange.request, this.#clock);
    const decoded = decodeBody(bytes, exchange.header("content-type"), kind, this.#protobuf);
    if (resource) return this.#known(decoded, resource, options, false);
    this.#strict(decoded, resource, options);
    return decoded.value;
  }

  /** A body without the members that its kind does not have, and what is to be said about them. @throws ApiStatusError 400 */
  #known(decoded: DecodedBody, resource: DiscoveredResource, options: WriteOptions, patch: boolean): JsonValue {
    if (!isJsonObject(decoded.value)) {
      this.#strict(decoded, resource, options);
      return decoded.value;
    }
    const { value, unknown } = this.#unknown.check(decoded.value, apiVersionOf(resource), resource.kind, patch);
    const named = unknown.map((path) => `unknown field ${JSON.stringify(path)}`);
    this.#strict({ value, strictErrors: [...decoded.strictErrors, ...named] }, resource, options);
    return value;
  }

  #strict(decoded: DecodedBody, resource: DiscoveredResource | undefined, options: WriteOptions): void {
    if (decoded.strictErrors.length === 0 || options.fieldValidation === "Ignore") return;
    if (options.fieldValidation !== "Strict") {
      for (const error of decoded.strictErrors) options.onWarning?.(error);
      return;
    }
    const kind = resource?.kind ?? "Scale";
    throw badRequest(
      `${kind} in version ${JSON.stringify(resource?.version ?? "v1")} cannot be handled as a ${kind}: strict decoding error: ${decoded.strictErrors.join(", ")}`,
    );
  }

  /** The Scale that an update of the subresource carries. @throws ApiStatusError 400, 413, 415 */
  async scale(exchange: Exchange, options: WriteOptions): Promise<JsonObject> {
    return asObject(await this.#body(exchange, "Scale", options), "Scale");
  }

  /** The body of a patch. @throws ApiStatusError 400, 413 */
  async patch(exchange: Exchange, target: ResourceTarget, type: Patch["type"], options: WriteOptions): Promise<Patch> {
    const body = await readBody(exchange.request, this.#clock);
    const { kind } = target.resource;
    const decoded = type === "apply" ? decodeYaml(body, kind) : decodePatch(body);
    if (type !== "json") return { type, body: asObject(this.#known(decoded, target.resource, options, true), kind) };
    this.#strict(decoded, target.resource, options);
    return { type, body: jsonPatch(decoded.value) };
  }

  /** What a deletion asks for, in its body and its query. @throws ApiStatusError 400, 413, 415, 422 */
  async deleteOptions(exchange: Exchange): Promise<DeleteOptions> {
    const bytes = await readBody(exchange.request, this.#clock);
    const kind = "DeleteOptions";
    const body =
      bytes.length === 0
        ? {}
        : asObject(decodeBody(bytes, exchange.header("content-type"), kind, this.#protobuf).value, kind);
    return {
      ...deleteOptions(exchange.query, body),
      user: exchange.user,
      onWarning: (warning) => exchange.warn(warning),
    };
  }
}

function asObject(value: JsonValue, kind: string): JsonObject {
  if (isJsonObject(value)) return value;
  throw badRequest(`the object provided is unrecognized (must be of type ${kind}): it is no object`);
}

function show(value: unknown): string {
  return typeof value === "string" ? value : (JSON.stringify(value) ?? "");
}

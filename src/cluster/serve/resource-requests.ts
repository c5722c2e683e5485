import type { ObjectKey, Unstructured } from "../../api/object.ts";
import { apiVersionOf } from "../../api/resource-type.ts";
import type { Clock } from "../../base/clock.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../base/json.ts";
import type { Log } from "../../base/log.ts";
import { integerBetween, type Random } from "../../base/random.ts";
import { ApiStatusError, isStatus, type StatusCause } from "../api-status-error.ts";
import type {
  DeleteOptions,
  DiscoveredResource,
  JsonPatchOperation,
  ListOptions,
  Patch,
  WatchOptions,
  WriteOptions,
} from "../cluster.ts";
import type { ApiMetrics } from "./api-metrics.ts";
import { badRequest, methodNotAllowed, resourceNotServed, unsupportedMediaType } from "./api-errors.ts";
import { EncodedEvents } from "./encoded-events.ts";
import type { Exchange } from "./exchange.ts";
import { sendList } from "./list-response.ts";
import { Presentation } from "./presentation.ts";
import {
  booleanParameter,
  dryRunParameter,
  invalidOptions,
  numberParameter,
  textParameter,
  writeOptions,
} from "./query-options.ts";
import { checkListParameters } from "./list-parameters.ts";
import type { ProtobufDecoder } from "./protobuf/decode.ts";
import type { Rbac } from "./rbac/start-rbac.ts";
import { type DecodedBody, decodeBody, decodeJson, decodeYaml, mediaType, readBody } from "./request-body.ts";
import { patchedScale, scaleChange, scaleOf } from "./scale.ts";
import type { ScalePaths, ServedCluster } from "./served-cluster.ts";
import { builtInSchemas } from "./built-in-schemas.ts";
import { UnknownMembers } from "./unknown-members.ts";
import { streamWatch } from "./watch-response.ts";

/** A watch without a timeout of its own ends after 30 to 60 minutes, so that connections spread again. */
const WATCH_TIMEOUT_SECONDS = { min: 1800, max: 3600 };
/** Objects per step of a deletion of a collection. */
const DELETE_PAGE = 500;
/** Attempts of a scale patch that meets other writers. */
const MAX_SCALE_ATTEMPTS = 5;

const PATCH_TYPES: ReadonlyMap<string, Patch["type"]> = new Map([
  ["application/json-patch+json", "json"],
  ["application/merge-patch+json", "merge"],
  ["application/strategic-merge-patch+json", "strategic"],
  ["application/apply-patch+yaml", "apply"],
]);

/** What one resource request is about. */
export interface ResourceTarget {
  readonly resource: DiscoveredResource;
  /** Empty at the cluster scope and for lists over all namespaces. */
  readonly namespace: string;
  /** Empty for a collection. */
  readonly name: string;
  readonly subresource: "" | "status" | "scale" | "finalize";
}

/** Answers requests for objects by calling the cluster. */
export class ResourceRequests {
  readonly #cluster: ServedCluster;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #log: Log;
  readonly #protobuf: ProtobufDecoder;
  readonly #escalation: Rbac["escalation"];
  readonly #unknown = new UnknownMembers(builtInSchemas());
  readonly #metrics: ApiMetrics;
  readonly #events = new EncodedEvents();

  constructor(parts: {
    readonly cluster: ServedCluster;
    readonly protobuf: ProtobufDecoder;
    readonly escalation: Rbac["escalation"];
    readonly metrics: ApiMetrics;
    readonly clock: Clock;
    readonly random: Random;
    readonly log: Log;
  }) {
    this.#cluster = parts.cluster;
    this.#clock = parts.clock;
    this.#random = parts.random;
    this.#log = parts.log;
    this.#protobuf = parts.protobuf;
    this.#escalation = parts.escalation;
    this.#metrics = parts.metrics;
  }

  /**
   * Answers one request.
   *
   * @param verb as authorization names it
   * @param signal aborts when the client goes or the server stops
   * @throws ApiStatusError for every refusal
   */
  async answer(exchange: Exchange, target: ResourceTarget, verb: string, signal: AbortSignal): Promise<void> {
    const { resource, subresource } = target;
    const verbs =
      subresource === "" ? resource.verbs : subresource === "finalize" ? ["update"] : ["get", "patch", "update"];
    if (!verbs.includes(verb)) throw methodNotAllowed();
    const shown = new Presentation(exchange, this.#cluster, resource, this.#clock, this.#events);
    switch (verb) {
      case "get":
        exchange.send(200, await this.#read(target, shown), shown.encoding);
        return;
      case "list": {
        checkListParameters(exchange.query, false);
        const list = await this.#cluster.list(resource, listOptions(exchange.query, target));
        await sendList(exchange, list, shown, { clock: this.#clock, signal });
        return;
      }
      case "watch":
        await this.#watch(exchange, target, shown, signal);
        return;
      case "create":
        await this.#create(exchange, target, shown);
        return;
      case "update":
        await this.#update(exchange, target, shown);
        return;
      case "patch":
        await this.#patch(exchange, target, shown);
        return;
      case "delete":
        await this.#delete(exchange, target, shown);
        return;
      case "deletecollection":
        await this.#deleteCollection(exchange, target, shown, signal);
        return;
      default:
        throw methodNotAllowed();
    }
  }

  async #read(target: ResourceTarget, shown: Presentation): Promise<JsonObject> {
    const object = await this.#cluster.get(target.resource, keyOf(target));
    return target.subresource === "scale" ? scaleOf(object, this.#scalePaths(target)) : shown.object(object);
  }

  async #watch(exchange: Exchange, target: ResourceTarget, shown: Presentation, signal: AbortSignal): Promise<void> {
    const { query } = exchange;
    checkListParameters(query, true);
    const { namespace, labelSelector, fieldSelector, resourceVersion } = listOptions(query, target);
    const options: WatchOptions = {
      ...(namespace === undefined ? {} : { namespace }),
      ...(labelSelector === undefined ? {} : { labelSelector }),
      ...(fieldSelector === undefined ? {} : { fieldSelector }),
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
      allowWatchBookmarks: booleanParameter(query, "allowWatchBookmarks"),
      ...(booleanParameter(query, "sendInitialEvents") ? { sendInitialEvents: true } : {}),
      timeoutSeconds:
        numberParameter(query, "timeoutSeconds") ??
        integerBetween(this.#random, WATCH_TIMEOUT_SECONDS.min, WATCH_TIMEOUT_SECONDS.max),
    };
    const events = this.#cluster.watch(target.resource, options, signal);
    const { group, version, resource } = target.resource;
    await streamWatch(exchange, events, shown, {
      clock: this.#clock,
      log: this.#log,
      signal,
      onEvent: () => this.#metrics.watchEvent(group, version, resource),
    });
  }

  async #create(exchange: Exchange, target: ResourceTarget, shown: Presentation): Promise<void> {
    const options = this.#writeOptions(exchange, target, "CreateOptions");
    const object = await this.#object(exchange, target, options);
    const created = await this.#cluster.create(target.resource, object, options);
    exchange.send(201, shown.object(created), shown.encoding);
  }

  async #update(exchange: Exchange, target: ResourceTarget, shown: Presentation): Promise<void> {
    const options = this.#writeOptions(exchange, target, "UpdateOptions");
    if (target.subresource === "scale") {
      const scale = asObject(await this.#body(exchange, "Scale", options), "Scale");
      const changed = await this.#setScale(target, scale, options);
      exchange.send(200, changed, shown.encoding);
      return;
    }
    const object = await this.#object(exchange, target, options);
    const changed = await (target.subresource === "status"
      ? this.#cluster.updateStatus(target.resource, object, options)
      : this.#cluster.update(target.resource, object, {
          ...options,
          ...(target.subresource === "finalize" ? { subresource: "finalize" } : {}),
        }));
    exchange.send(200, shown.object(changed), shown.encoding);
  }

  async #patch(exchange: Exchange, target: ResourceTarget, shown: Presentation): Promise<void> {
    const type = PATCH_TYPES.get(mediaType(exchange.header("content-type")));
    if (type === undefined) throw unsupportedMediaType([...PATCH_TYPES.keys()]);
    const { query } = exchange;
    if (type === "apply" && !query.get("fieldManager"))
      throw invalidOptions("PatchOptions", [
        { reason: "FieldValueRequired", field: "fieldManager", message: "Required value: is required for apply patch" },
      ]);
    if (type !== "apply" && booleanParameter(query, "force"))
      throw invalidOptions("PatchOptions", [
        {
          reason: "FieldValueForbidden",
          field: "force",
          message: "Forbidden: may not be specified for non-apply patch",
        },
      ]);
    const options = this.#writeOptions(exchange, target, "PatchOptions");
    const patch = await this.#patchBody(exchange, target, type, options);
    if (target.subresource === "scale") {
      exchange.send(200, await this.#patchScale(target, patch, options), shown.encoding);
      return;
    }
    const existed = type !== "apply" || (await this.#exists(target));
    const changed = await this.#cluster.patch(target.resource, keyOf(target), patch, {
      ...options,
      ...(target.subresource === "status" ? { subresource: "status" } : {}),
    });
    exchange.send(existed ? 200 : 201, shown.object(changed), shown.encoding);
  }

  async #patchBody(
    exchange: Exchange,
    target: ResourceTarget,
    type: Patch["type"],
    options: WriteOptions,
  ): Promise<Patch> {
    const body = await readBody(exchange.request, this.#clock);
    const { kind } = target.resource;
    const decoded = type === "apply" ? decodeYaml(body, kind) : decodePatch(body);
    if (type !== "json") return { type, body: asObject(this.#known(decoded, target.resource, options, true), kind) };
    this.#strict(decoded, target.resource, options);
    return { type, body: jsonPatch(decoded.value) };
  }

  async #exists(target: ResourceTarget): Promise<boolean> {
    try {
      await this.#cluster.get(target.resource, keyOf(target));
      return true;
    } catch (error) {
      if (isStatus(error, "NotFound")) return false;
      throw error;
    }
  }

  #scalePaths({ resource }: ResourceTarget): ScalePaths {
    const { scale } = this.#cluster.resourceDetails(resource.group, resource.version, resource.resource);
    if (scale === undefined) throw resourceNotServed();
    return scale;
  }

  async #setScale(target: ResourceTarget, scale: JsonObject, options: WriteOptions): Promise<JsonObject> {
    const paths = this.#scalePaths(target);
    const change: Patch = { type: "merge", body: scaleChange(scale, paths) };
    const changed = await this.#cluster.patch(target.resource, keyOf(target), change, {
      ...options,
      subresource: "scale",
    });
    return scaleOf(changed, paths);
  }

  async #patchScale(target: ResourceTarget, patch: Patch, options: WriteOptions): Promise<JsonObject> {
    for (let attempt = 1; ; attempt++) {
      const current = await this.#cluster.get(target.resource, keyOf(target));
      try {
        return await this.#setScale(target, patchedScale(scaleOf(current, this.#scalePaths(target)), patch), options);
      } catch (error) {
        // The patch was made against what this attempt read; another writer came between.
        if (!isStatus(error, "Conflict") || attempt >= MAX_SCALE_ATTEMPTS) throw error;
      }
    }
  }

  async #delete(exchange: Exchange, target: ResourceTarget, shown: Presentation): Promise<void> {
    const { resource } = target;
    const options = await this.#deleteOptions(exchange);
    const key = keyOf(target);
    const before = await this.#cluster.get(resource, key);
    const left = await this.#cluster.delete(resource, key, options);
    if (left !== undefined) {
      exchange.send(200, shown.object(left), shown.encoding);
      return;
    }
    const { uid } = before.metadata;
    exchange.send(
      200,
      {
        kind: "Status",
        apiVersion: "v1",
        metadata: {},
        status: "Success",
        details: {
          name: target.name,
          ...(resource.group === "" ? {} : { group: resource.group }),
          kind: resource.resource,
          uid,
        },
      },
      { encoding: "json", contentType: "application/json" },
    );
  }

  async #deleteCollection(
    exchange: Exchange,
    target: ResourceTarget,
    shown: Presentation,
    signal: AbortSignal,
  ): Promise<void> {
    const options = await this.#deleteOptions(exchange);
    const { namespace, labelSelector, fieldSelector } = listOptions(exchange.query, target);
    const selected: ListOptions = {
      ...(namespace === undefined ? {} : { namespace }),
      ...(labelSelector === undefined ? {} : { labelSelector }),
      ...(fieldSelector === undefined ? {} : { fieldSelector }),
      limit: DELETE_PAGE,
    };
    const items: Unstructured[] = [];
    let page = await this.#cluster.list(target.resource, selected);
    for (;;) {
      for (const item of page.items) {
        const { name, namespace: at } = item.metadata;
        try {
          const left = await this.#cluster.delete(target.resource, at ? { namespace: at, name } : { name }, options);
          items.push(left ?? item);
        } catch (error) {
          if (!isStatus(error, "NotFound")) throw error; // gone by itself: that is what was asked for
        }
      }
      if (page.continue === undefined) break;
      page = await this.#cluster.list(target.resource, { ...selected, continue: page.continue });
    }
    const deleted = { items, resourceVersion: page.resourceVersion };
    await sendList(exchange, deleted, shown, { clock: this.#clock, signal });
  }

  async #deleteOptions(exchange: Exchange): Promise<DeleteOptions> {
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

  #writeOptions(exchange: Exchange, target: ResourceTarget, kind: string): WriteOptions {
    const admit = this.#escalation(exchange.user, target);
    return {
      ...(admit === undefined ? {} : { admit }),
      user: exchange.user,
      ...writeOptions(exchange.query, exchange.header("user-agent"), kind),
      onWarning: (warning) => exchange.warn(warning),
    };
  }

  /** Reads an object and checks that it is the one that the path names. */
  async #object(exchange: Exchange, target: ResourceTarget, options: WriteOptions): Promise<Unstructured> {
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
}

function keyOf({ resource, namespace, name }: ResourceTarget): ObjectKey {
  return resource.namespaced ? { namespace, name } : { name };
}

function listOptions(query: URLSearchParams, { resource, namespace, name }: ResourceTarget): ListOptions {
  const labelSelector = textParameter(query, "labelSelector");
  const asked = textParameter(query, "fieldSelector");
  // Watching one object by its path is watching its collection for its name.
  const fieldSelector = name === "" ? asked : [`metadata.name=${name}`, asked].filter(Boolean).join(",");
  const limit = numberParameter(query, "limit");
  const continued = textParameter(query, "continue");
  const resourceVersion = textParameter(query, "resourceVersion");
  const match = textParameter(query, "resourceVersionMatch");
  if (match !== undefined && match !== "Exact" && match !== "NotOlderThan")
    throw badRequest(`resourceVersionMatch: Unsupported value: ${JSON.stringify(match)}`);
  return {
    ...(resource.namespaced && namespace !== "" ? { namespace } : {}),
    ...(labelSelector === undefined ? {} : { labelSelector }),
    ...(fieldSelector === undefined ? {} : { fieldSelector }),
    ...(limit === undefined || limit === 0 ? {} : { limit }),
    ...(continued === undefined ? {} : { continue: continued }),
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
    ...(match === undefined ? {} : { resourceVersionMatch: match }),
  };
}

function deleteOptions(query: URLSearchParams, body: JsonObject): DeleteOptions {
  const causes: StatusCause[] = [];
  const stages = Array.isArray(body["dryRun"]) ? (body["dryRun"] as readonly unknown[]) : query.getAll("dryRun");
  const dryRun = dryRunParameter(
    stages.filter((stage): stage is string => typeof stage === "string"),
    causes,
  );
  const asked = body["propagationPolicy"] ?? textParameter(query, "propagationPolicy");
  const orphan =
    body["orphanDependents"] ??
    (query.has("orphanDependents") ? booleanParameter(query, "orphanDependents") : undefined);
  const policies = ["Background", "Foreground", "Orphan"] as const;
  const policy = policies.find((known) => known === asked) ?? (orphan === true ? "Orphan" : undefined);
  if (asked !== undefined && asked !== null && !policies.some((known) => known === asked))
    causes.push({
      reason: "FieldValueInvalid",
      field: "propagationPolicy",
      message: `Invalid value: ${JSON.stringify(asked)}: not found in ["Background" "Foreground" "Orphan"]`,
    });
  const grace = body["gracePeriodSeconds"] ?? numberParameter(query, "gracePeriodSeconds");
  const preconditions = isJsonObject(body["preconditions"]) ? body["preconditions"] : {};
  const { uid, resourceVersion } = preconditions;
  if (causes.length > 0) throw invalidOptions("DeleteOptions", causes);
  return {
    ...(dryRun ? { dryRun } : {}),
    ...(policy === undefined ? {} : { propagationPolicy: policy }),
    ...(typeof grace === "number" ? { gracePeriodSeconds: grace } : {}),
    preconditions: {
      ...(typeof uid === "string" && uid !== "" ? { uid } : {}),
      ...(typeof resourceVersion === "string" && resourceVersion !== "" ? { resourceVersion } : {}),
    },
  };
}

function decodePatch(body: Uint8Array): DecodedBody {
  try {
    return decodeJson(body, "Patch");
  } catch (error) {
    if (!(error instanceof ApiStatusError)) throw error;
    throw badRequest(`error decoding patch: ${error.message.replace(/^.*parse error: /s, "")}`);
  }
}

function jsonPatch(value: JsonValue): readonly JsonPatchOperation[] {
  if (!Array.isArray(value)) throw badRequest("error decoding patch: a JSON patch is a list of operations");
  return (value as readonly JsonValue[]).map(patchOperation);
}

function patchOperation(value: JsonValue): JsonPatchOperation {
  if (!isJsonObject(value)) throw badRequest("error decoding patch: an operation is an object");
  const { op, path, from, value: operand } = value;
  const known = (["add", "remove", "replace", "move", "copy", "test"] as const).find((each) => each === op);
  if (known === undefined) throw badRequest(`error decoding patch: unexpected kind: ${show(op)}`);
  if (typeof path !== "string") throw badRequest("error decoding patch: an operation has a path");
  return {
    op: known,
    path,
    ...(typeof from === "string" ? { from } : {}),
    ...(operand === undefined ? {} : { value: operand }),
  };
}

function asObject(value: JsonValue, kind: string): JsonObject {
  if (isJsonObject(value)) return value;
  throw badRequest(`the object provided is unrecognized (must be of type ${kind}): it is no object`);
}

function show(value: unknown): string {
  return typeof value === "string" ? value : (JSON.stringify(value) ?? "");
}

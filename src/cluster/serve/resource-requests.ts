import type { Unstructured } from "../../api/object.ts";
import type { Clock } from "../../base/clock.ts";
import type { JsonObject } from "../../base/json.ts";
import type { Log } from "../../base/log.ts";
import { integerBetween, type Random } from "../../base/random.ts";
import { isStatus } from "../api-status-error.ts";
import type { ListOptions, WatchOptions, WriteOptions } from "../cluster.ts";
import { methodNotAllowed } from "./api-errors.ts";
import type { ApiMetrics } from "./api-metrics.ts";
import { EncodedEvents } from "./encoded-events.ts";
import type { Exchange } from "./exchange.ts";
import { listOptions } from "./list-options.ts";
import { checkListParameters } from "./list-parameters.ts";
import { sendList } from "./list-response.ts";
import { ObjectBodies } from "./object-bodies.ts";
import { patchType } from "./patch-body.ts";
import { Presentation } from "./presentation.ts";
import type { ProtobufDecoder } from "./protobuf/decode.ts";
import { booleanParameter, invalidOptions, numberParameter, writeOptions } from "./query-options.ts";
import type { Rbac } from "./rbac/start-rbac.ts";
import { type ResourceTarget, keyOf } from "./resource-target.ts";
import { ScaleRequests } from "./scale-requests.ts";
import type { ServedCluster } from "./served-cluster.ts";
import { streamWatch } from "./watch-response.ts";

/** A watch without a timeout of its own ends after 30 to 60 minutes, so that connections spread again. */
const WATCH_TIMEOUT_SECONDS = { min: 1800, max: 3600 };
/** Objects per step of a deletion of a collection. */
const DELETE_PAGE = 500;

/** Answers requests for objects by calling the cluster. */
export class ResourceRequests {
  readonly #cluster: ServedCluster;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #log: Log;
  readonly #escalation: Rbac["escalation"];
  readonly #bodies: ObjectBodies;
  readonly #scales: ScaleRequests;
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
    this.#bodies = new ObjectBodies(parts.protobuf, parts.clock);
    this.#scales = new ScaleRequests(parts.cluster);
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
    return target.subresource === "scale" ? this.#scales.scaleOf(object, target) : shown.object(object);
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
    const object = await this.#bodies.object(exchange, target, options);
    const created = await this.#cluster.create(target.resource, object, options);
    exchange.send(201, shown.object(created), shown.encoding);
  }

  async #update(exchange: Exchange, target: ResourceTarget, shown: Presentation): Promise<void> {
    const options = this.#writeOptions(exchange, target, "UpdateOptions");
    if (target.subresource === "scale") {
      const changed = await this.#scales.set(target, await this.#bodies.scale(exchange, options), options);
      exchange.send(200, changed, shown.encoding);
      return;
    }
    const object = await this.#bodies.object(exchange, target, options);
    const changed = await (target.subresource === "status"
      ? this.#cluster.updateStatus(target.resource, object, options)
      : this.#cluster.update(target.resource, object, {
          ...options,
          ...(target.subresource === "finalize" ? { subresource: "finalize" } : {}),
        }));
    exchange.send(200, shown.object(changed), shown.encoding);
  }

  async #patch(exchange: Exchange, target: ResourceTarget, shown: Presentation): Promise<void> {
    const type = patchType(exchange.header("content-type"));
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
    const patch = await this.#bodies.patch(exchange, target, type, options);
    if (target.subresource === "scale") {
      exchange.send(200, await this.#scales.patch(target, patch, options), shown.encoding);
      return;
    }
    const existed = type !== "apply" || (await this.#exists(target));
    const changed = await this.#cluster.patch(target.resource, keyOf(target), patch, {
      ...options,
      ...(target.subresource === "status" ? { subresource: "status" } : {}),
    });
    exchange.send(existed ? 200 : 201, shown.object(changed), shown.encoding);
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

  async #delete(exchange: Exchange, target: ResourceTarget, shown: Presentation): Promise<void> {
    const { resource } = target;
    const options = await this.#bodies.deleteOptions(exchange);
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
    const options = await this.#bodies.deleteOptions(exchange);
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

  #writeOptions(exchange: Exchange, target: ResourceTarget, kind: string): WriteOptions {
    const admit = this.#escalation(exchange.user, target);
    return {
      ...(admit === undefined ? {} : { admit }),
      user: exchange.user,
      ...writeOptions(exchange.query, exchange.header("user-agent"), kind),
      onWarning: (warning) => exchange.warn(warning),
    };
  }
}

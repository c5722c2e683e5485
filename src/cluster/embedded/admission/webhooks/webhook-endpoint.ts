import type { JsonObject } from "../../../../base/json.ts";
import { isJsonObject, type JsonValue } from "../../../../base/json.ts";
import { collectionId } from "../../resources/served-resource.ts";
import { storageKey } from "../../store/collection.ts";
import type { ObjectStore } from "../../store/object-store.ts";
import type { ValidatingWebhook } from "./webhook-shapes.ts";

/** Where a webhook is called. */
export interface WebhookEndpoint {
  /** Without the query. */
  readonly url: string;
  /** Name the certificate must have, when it is not the one of the URL. */
  readonly serverName: string | undefined;
  /** Where to connect instead of the URL's own host. @throws Error naming what is missing */
  readonly connectTo: (() => { readonly host: string; readonly port: number }) | undefined;
  /** PEM bundle; undefined for the system's. */
  readonly caPem: string | undefined;
}

const DEFAULT_PORT = 443;
const SERVICE_NAME_LABEL = "kubernetes.io/service-name";

/**
 * Finds where a webhook is. There is no service network here: a Service leads to its `externalName`, or to the first ready address of its
 * EndpointSlices, and the certificate must be for `name.namespace.svc` as anywhere.
 */
export function webhookEndpoint(store: ObjectStore, clientConfig: ValidatingWebhook["clientConfig"]): WebhookEndpoint {
  const { url, service, caBundle } = clientConfig;
  const caPem = caBundle ? Buffer.from(caBundle, "base64").toString("utf8") : undefined;
  if (url !== undefined) return { url, serverName: undefined, connectTo: undefined, caPem };
  if (!service) throw new Error("webhook configuration must have either service or URL");
  const { namespace, name, path = "", port = DEFAULT_PORT } = service;
  const host = `${name}.${namespace}.svc`;
  const connectTo = () => addressOf(store, namespace, name, port);
  return {
    url: `https://${host}:${port}${path.startsWith("/") ? path : `/${path}`}`,
    serverName: host,
    connectTo,
    caPem,
  };
}

function addressOf(
  store: ObjectStore,
  namespace: string,
  name: string,
  port: number,
): { readonly host: string; readonly port: number } {
  const service = store.collection(collectionId("", "services")).get(storageKey(namespace, name))?.object;
  if (!service) throw new Error(`service ${JSON.stringify(name)} not found`);
  const spec = objectOf(service["spec"] as JsonValue | undefined);
  const { externalName } = spec;
  if (spec["type"] === "ExternalName" && typeof externalName === "string") return { host: externalName, port };
  const servicePort = list(spec["ports"]).find((each) => each["port"] === port);
  if (!servicePort) throw new Error(`no service port ${port} found for service ${JSON.stringify(name)}`);
  for (const [, { object }] of store
    .collection(collectionId("discovery.k8s.io", "endpointslices"))
    .entries(namespace)) {
    if (object.metadata.labels?.[SERVICE_NAME_LABEL] !== name) continue;
    const slicePort = list(object["ports"] as JsonValue | undefined).find(
      (each) => (each["name"] ?? "") === (servicePort["name"] ?? ""),
    );
    for (const endpoint of list(object["endpoints"] as JsonValue | undefined)) {
      const [host] = Array.isArray(endpoint["addresses"]) ? (endpoint["addresses"] as readonly unknown[]) : [];
      if (objectOf(endpoint["conditions"])["ready"] === false || typeof host !== "string") continue;
      const target = slicePort?.["port"] ?? servicePort["targetPort"] ?? port;
      if (typeof target === "number") return { host, port: target };
    }
  }
  throw new Error(`no endpoints available for service ${JSON.stringify(name)}`);
}

function objectOf(value: JsonValue | undefined): JsonObject {
  return isJsonObject(value) ? value : {};
}

function list(value: JsonValue | undefined): readonly JsonObject[] {
  return Array.isArray(value) ? (value as readonly JsonValue[]).filter(isJsonObject) : [];
}

import type { Unstructured } from "../../../api/object.ts";
import { isStatus } from "../../api-status-error.ts";
import { trackUpdate } from "../apply/track-update.ts";
import { LifecycleQueue } from "../garbage-collection/lifecycle-queue.ts";
import { ignoringGone } from "../garbage-collection/system-writes.ts";
import { cloneMap, jsonEqual, type JsonMap } from "../json/mutable-json.ts";
import { createObject } from "../requests/create.ts";
import { managerOf } from "../requests/field-manager.ts";
import { nowText, type RequestContext } from "../requests/request-context.ts";
import { changeObject } from "../requests/update.ts";
import { collectionId } from "../resources/served-resource.ts";
import { storageKey, type StoreEvent } from "../store/collection.ts";

const NAMESPACES = collectionId("", "namespaces");
const ACCOUNTS = collectionId("", "serviceaccounts");
const CONFIG_MAPS = collectionId("", "configmaps");
const DEFAULT_ACCOUNT = "default";
const ROOT_CA = "kube-root-ca.crt";
/** What Kubernetes writes beside the certificate. */
const ROOT_CA_NOTE =
  "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.";

/**
 * Gives every namespace its ServiceAccount `default` and, when the API has a certificate, the ConfigMap `kube-root-ca.crt` with the CA that signs
 * it, and gives them back when they are deleted or changed (the controllers serviceaccount and root-ca-certificate-publisher).
 */
export class NamespaceDefaults {
  readonly #context: RequestContext;
  readonly #rootCa: string | undefined;
  readonly #queue: LifecycleQueue;

  constructor(context: RequestContext, signal: AbortSignal, rootCa: string | undefined) {
    this.#context = context;
    this.#rootCa = rootCa;
    const { clock, random, log } = context;
    this.#queue = new LifecycleQueue({
      name: "namespace-defaults",
      clock,
      random,
      log,
      signal,
      reconcile: (name) => this.#reconcile(name),
    });
    for (const [name] of context.store.collection(NAMESPACES).entries()) this.#queue.add(name);
    context.store.subscribe((events) => {
      for (const event of events) this.#observe(event);
    });
  }

  #observe(event: StoreEvent): void {
    const { name, namespace } = event.object.metadata;
    if (event.collection === NAMESPACES) {
      if (event.type === "ADDED") this.#queue.add(name);
    } else if (namespace === undefined) return;
    else if (event.collection === ACCOUNTS && name === DEFAULT_ACCOUNT && event.type === "DELETED")
      this.#queue.add(namespace);
    else if (event.collection === CONFIG_MAPS && name === ROOT_CA && event.type !== "ADDED") this.#queue.add(namespace);
  }

  async idle(): Promise<void> {
    await this.#queue.idle();
  }

  async #reconcile(name: string): Promise<void> {
    const namespace = this.#context.store.collection(NAMESPACES).get(name)?.object;
    if (!namespace || namespace.metadata.deletionTimestamp !== undefined) return;
    await this.#ensure(ACCOUNTS, {
      apiVersion: "v1",
      kind: "ServiceAccount",
      metadata: { name: DEFAULT_ACCOUNT, namespace: name },
    });
    if (this.#rootCa === undefined) return;
    const metadata = { name: ROOT_CA, namespace: name, annotations: { "kubernetes.io/description": ROOT_CA_NOTE } };
    const data = { "ca.crt": this.#rootCa };
    const found = this.#context.store.collection(CONFIG_MAPS).get(storageKey(name, ROOT_CA))?.object;
    if (!found) await this.#ensure(CONFIG_MAPS, { apiVersion: "v1", kind: "ConfigMap", metadata, data });
    else if (!jsonEqual(dataOf(found), data)) await this.#setData(name, data);
  }

  async #ensure(collection: string, object: JsonMap): Promise<void> {
    const resource = this.#context.registry.preferred(collection);
    if (!resource) return;
    const { name, namespace } = object["metadata"] as { readonly name: string; readonly namespace: string };
    if (this.#context.store.collection(collection).get(storageKey(namespace, name))) return;
    const id = managerOf(resource, { fieldManager: "kube-controller-manager" }, "Update", "CreateOptions");
    try {
      await createObject(this.#context, resource, cloneMap(object), {}, (final) =>
        trackUpdate(resource, final, undefined, id, nowText(this.#context)),
      );
    } catch (error) {
      // Somebody was faster, or the namespace is going away.
      if (!isStatus(error, "AlreadyExists", "NotFound", "Forbidden")) throw error;
    }
  }

  async #setData(namespace: string, data: JsonMap): Promise<void> {
    const resource = this.#context.registry.preferred(CONFIG_MAPS);
    if (!resource) return;
    const id = managerOf(resource, { fieldManager: "kube-controller-manager" }, "Update", "CreateOptions");
    await ignoringGone(
      changeObject(
        this.#context,
        resource,
        { namespace, name: ROOT_CA },
        {},
        {
          mutate: (current) => ({ ...current, data: cloneMap(data) }),
          track: (changed, current) => trackUpdate(resource, changed, current, id, nowText(this.#context)),
          subresource: "",
        },
      ),
    );
  }
}

function dataOf(object: Unstructured): JsonMap {
  const data = object["data"];
  return typeof data === "object" && data !== null ? (data as JsonMap) : {};
}

import type { JobObject, PodObject } from "../../../../api/builtin.ts";
import { keyOf, type KubeObject, type ObjectKey, type Unstructured } from "../../../../api/object.ts";
import { isStatus } from "../../../api-status-error.ts";
import { trackUpdate } from "../../apply/track-update.ts";
import { dropFinalizer, ignoringGone } from "../../garbage-collection/system-writes.ts";
import { cloneMap, ensureMap, type JsonMap } from "../../json/mutable-json.ts";
import { createObject } from "../../requests/create.ts";
import { deleteObject } from "../../requests/delete.ts";
import { managerOf } from "../../requests/field-manager.ts";
import { nowText, type RequestContext } from "../../requests/request-context.ts";
import { changeObject } from "../../requests/update.ts";
import { collectionId, type ServedResource } from "../../resources/served-resource.ts";
import { storageKey } from "../../store/collection.ts";
import { TRACKING_FINALIZER } from "./job-plan.ts";

export const JOBS = collectionId("batch", "jobs");
export const PODS = collectionId("", "pods");
const EVENTS = collectionId("", "events");

/** Field managers, as the components of Kubernetes that do this name themselves. */
type Writer = "kube-controller-manager" | "kubelet" | "kube-scheduler";

/** What the runner writes into its own cluster. Writes to objects that are gone or others by now do nothing. */
export class RunnerWrites {
  readonly #context: RequestContext;

  constructor(context: RequestContext) {
    this.#context = context;
  }

  pod(key: string): PodObject | undefined {
    return this.#context.store.collection(PODS).get(key)?.object as unknown as PodObject | undefined;
  }

  job(key: string): JobObject | undefined {
    return this.#context.store.collection(JOBS).get(key)?.object as unknown as JobObject | undefined;
  }

  #resource(collection: string): ServedResource {
    const resource = this.#context.registry.preferred(collection);
    if (!resource) throw new Error(`${collection} is not served`);
    return resource;
  }

  /** Writes a status; the promise resolves when it is durable, but it is accepted before this returns. */
  async status(collection: string, object: KubeObject, status: object, writer: Writer): Promise<void> {
    const resource = this.#resource(collection);
    const id = managerOf(resource, { fieldManager: writer, subresource: "status" }, "Update", "UpdateOptions");
    await ignoringGone(
      changeObject(
        this.#context,
        resource,
        keyOf(object),
        {},
        {
          mutate: (current) => {
            ensureMap(current, "metadata")["uid"] = object.metadata.uid ?? "";
            current["status"] = cloneMap(status);
            return current;
          },
          track: (changed, current) => trackUpdate(resource, changed, current, id, nowText(this.#context)),
          subresource: "status",
        },
      ),
    );
  }

  /** Lets a pod go that its Job has counted. */
  async release(key: ObjectKey): Promise<void> {
    await ignoringGone(
      changeObject(
        this.#context,
        this.#resource(PODS),
        key,
        {},
        {
          mutate: (current) => {
            dropFinalizer(ensureMap(current, "metadata"), TRACKING_FINALIZER);
            return current;
          },
          track: () => {},
          subresource: "",
        },
      ),
    );
  }

  async deletePod(key: ObjectKey): Promise<void> {
    await ignoringGone(deleteObject(this.#context, this.#resource(PODS), key, {}));
  }

  /** Creates a pod of a Job. `node` is empty for one that cannot be run. */
  async createPod(job: JobObject, node: string): Promise<void> {
    const { name, namespace = "", uid = "" } = job.metadata;
    const template = cloneMap(job.spec.template);
    const metadata = ensureMap(template, "metadata");
    metadata["generateName"] = `${name}-`;
    metadata["namespace"] = namespace;
    metadata["finalizers"] = [TRACKING_FINALIZER];
    metadata["ownerReferences"] = [
      { apiVersion: "batch/v1", kind: "Job", name, uid, controller: true, blockOwnerDeletion: true },
    ];
    if (node !== "") ensureMap(template, "spec")["nodeName"] = node;
    await this.#create(PODS, { apiVersion: "v1", kind: "Pod", ...template }, "kube-controller-manager");
  }

  /** Tells people about an object; one event per reason. */
  async event(object: KubeObject, reason: string, message: string): Promise<void> {
    const { name, namespace = "", uid = "" } = object.metadata;
    const time = nowText(this.#context);
    await this.#create(
      EVENTS,
      {
        apiVersion: "v1",
        kind: "Event",
        metadata: { name: `${name}.${Math.floor(this.#context.random.next() * 2 ** 48).toString(16)}`, namespace },
        involvedObject: { apiVersion: object.apiVersion, kind: object.kind, name, namespace, uid },
        reason,
        message,
        type: "Warning",
        count: 1,
        firstTimestamp: time,
        lastTimestamp: time,
        source: { component: "job-runner" },
        reportingComponent: "job-runner",
      },
      "kube-scheduler",
    );
  }

  async #create(collection: string, object: JsonMap, writer: Writer): Promise<void> {
    const resource = this.#resource(collection);
    const id = managerOf(resource, { fieldManager: writer }, "Update", "CreateOptions");
    try {
      await createObject(this.#context, resource, object, {}, (final) =>
        trackUpdate(resource, final, undefined, id, nowText(this.#context)),
      );
    } catch (error) {
      // The namespace is going away, and the Job with it.
      if (!isStatus(error, "NotFound", "Forbidden")) throw error;
    }
  }

  /** Pods that the Job controls. */
  podsOf(job: JobObject): readonly PodObject[] {
    const pods: PodObject[] = [];
    for (const [, { object }] of this.#context.store.collection(PODS).entries(job.metadata.namespace)) {
      if (controllerUid(object) === job.metadata.uid) pods.push(object as unknown as PodObject);
    }
    return pods;
  }
}

/** Uid of the Job that controls a pod. */
export function controllerUid(object: KubeObject): string | undefined {
  return object.metadata.ownerReferences?.find((owner) => owner.kind === "Job" && owner.controller === true)?.uid;
}

/** Storage key of the Job that controls a pod. */
export function controllerKey(object: Unstructured): string | undefined {
  const owner = object.metadata.ownerReferences?.find(({ kind, controller }) => kind === "Job" && controller === true);
  return owner && storageKey(object.metadata.namespace, owner.name);
}

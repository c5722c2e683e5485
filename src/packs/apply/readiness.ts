import type { Unstructured } from "../../api/object.ts";
import { type JsonObject, isJsonObject } from "../../base/json.ts";
import { groupOf } from "../artifact/pack-object.ts";

/** Annotation that forces or waives the wait for one object (dispatcher §8.5). */
export const WAIT = "seam.ontai.dev/wait";

/** Whether an object does what it was applied for. */
export type Readiness =
  | { readonly state: "Ready" }
  | { readonly state: "Waiting"; readonly reason: string }
  /** It will not become ready by waiting. */
  | { readonly state: "Failed"; readonly reason: string };

/** What readiness needs to know beyond the object. */
export interface ReadinessContext {
  /** True when claims of the class are bound only once a pod uses them; undefined name means the default class. */
  waitsForFirstConsumer(storageClass: string | undefined): boolean;
}

const READY: Readiness = { state: "Ready" };
const waiting = (reason: string): Readiness => ({ state: "Waiting", reason });
const failed = (reason: string): Readiness => ({ state: "Failed", reason });

const RULES: Readonly<Record<string, (spec: JsonObject, status: JsonObject, context: ReadinessContext) => Readiness>> =
  {
    "apps/Deployment": deployment,
    "apps/StatefulSet": statefulSet,
    "apps/DaemonSet": daemonSet,
    "batch/Job": job,
    "/PersistentVolumeClaim": claim,
    "apiextensions.k8s.io/CustomResourceDefinition": (_spec, status) =>
      conditions(status, ["Established", "NamesAccepted"]),
    "apiregistration.k8s.io/APIService": (_spec, status) => conditions(status, ["Available"]),
  };

/** Readiness by the table of dispatcher §8.5. Kinds without a rule are ready at once, unless they are annotated to be awaited. */
export function readinessOf(object: Unstructured, context: ReadinessContext): Readiness {
  const wish = object.metadata.annotations?.[WAIT];
  if (wish === "false") return READY;
  if (object.metadata.deletionTimestamp !== undefined) return waiting("is being deleted");
  const spec = part(object["spec"]);
  const status = part(object["status"]);
  const observed = status["observedGeneration"];
  const { generation } = object.metadata;
  if (typeof observed === "number" && generation !== undefined && observed < generation)
    return waiting(`generation ${generation} is not observed yet`);
  const rule = RULES[`${groupOf(object)}/${object.kind}`];
  if (rule) {
    if (observed === undefined && RECONCILED.has(object.kind)) return waiting("its controller has not seen it yet");
    return rule(spec, status, context);
  }
  if (wish !== "true") return READY;
  if (object.kind === "Service" && spec["type"] === "LoadBalancer") {
    const ingress = part(status["loadBalancer"])["ingress"];
    return Array.isArray(ingress) && ingress.length > 0 ? READY : waiting("has no load balancer address yet");
  }
  const present = ["Ready", "Available"].filter((type) => condition(status, type) !== undefined);
  return conditions(status, present);
}

/** True when {@link readinessOf} may ever say anything but Ready: others need not be watched. */
export function mayWait(object: {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly annotations?: unknown };
}): boolean {
  const annotations = object.metadata.annotations;
  const wish = isJsonObject(annotations) ? annotations[WAIT] : undefined;
  if (wish === "false") return false;
  return wish === "true" || RULES[`${groupOf(object)}/${object.kind}`] !== undefined;
}

/** Kinds whose controllers always set observedGeneration: until then status says nothing. */
const RECONCILED = new Set(["Deployment", "StatefulSet", "DaemonSet"]);

function deployment(spec: JsonObject, status: JsonObject): Readiness {
  const progressing = condition(status, "Progressing");
  if (progressing?.["status"] === "False" && progressing["reason"] === "ProgressDeadlineExceeded")
    return failed(text(progressing, "progress deadline exceeded"));
  const wanted = count(spec["replicas"], 1);
  const updated = count(status["updatedReplicas"]);
  const available = count(status["availableReplicas"]);
  const total = count(status["replicas"]);
  if (updated < wanted) return waiting(`${updated} of ${wanted} replicas are updated`);
  if (total > updated) return waiting(`${total - updated} old replicas are still there`);
  if (available < wanted) return waiting(`${available} of ${wanted} replicas are available`);
  return READY;
}

function statefulSet(spec: JsonObject, status: JsonObject): Readiness {
  const wanted = count(spec["replicas"], 1);
  if (wanted === 0) return READY;
  const ready = count(status["readyReplicas"]);
  if (ready < wanted) return waiting(`${ready} of ${wanted} replicas are ready`);
  const strategy = part(spec["updateStrategy"]);
  if (strategy["type"] === "OnDelete") return READY;
  const toUpdate = Math.max(0, wanted - count(part(strategy["rollingUpdate"])["partition"]));
  const updated = count(status["updatedReplicas"]);
  if (updated < toUpdate) return waiting(`${updated} of ${toUpdate} replicas are updated`);
  return READY;
}

function daemonSet(spec: JsonObject, status: JsonObject): Readiness {
  const desired = count(status["desiredNumberScheduled"]);
  if (desired === 0) return READY;
  if (part(spec["updateStrategy"])["type"] === "OnDelete") {
    const ready = count(status["numberReady"]);
    return ready >= desired ? READY : waiting(`${ready} of ${desired} pods are ready`);
  }
  const updated = count(status["updatedNumberScheduled"]);
  const available = count(status["numberAvailable"]);
  if (updated < desired) return waiting(`${updated} of ${desired} pods are updated`);
  return available >= desired ? READY : waiting(`${available} of ${desired} pods are available`);
}

function job(_spec: JsonObject, status: JsonObject): Readiness {
  const failure = condition(status, "Failed");
  if (failure?.["status"] === "True") return failed(text(failure, "the job failed"));
  if (condition(status, "Complete")?.["status"] === "True") return READY;
  return waiting(`${count(status["succeeded"])} pods have succeeded`);
}

function claim(spec: JsonObject, status: JsonObject, context: ReadinessContext): Readiness {
  const phase = status["phase"];
  if (phase === "Bound") return READY;
  if (phase === "Lost") return failed("the claim lost its volume");
  const name = spec["storageClassName"];
  if (context.waitsForFirstConsumer(typeof name === "string" ? name : undefined)) return READY;
  return waiting("the claim is not bound");
}

function conditions(status: JsonObject, types: readonly string[]): Readiness {
  for (const type of types) {
    const found = condition(status, type);
    if (found?.["status"] !== "True")
      return waiting(found ? `${type}: ${text(found, "not yet")}` : `condition ${type} is missing`);
  }
  return READY;
}

function condition(status: JsonObject, type: string): JsonObject | undefined {
  const list: unknown = status["conditions"];
  if (!Array.isArray(list)) return undefined;
  return (list as readonly unknown[]).filter((entry) => isJsonObject(entry)).find((entry) => entry["type"] === type);
}

function text(from: JsonObject, otherwise: string): string {
  const { message, reason } = from;
  if (typeof message === "string" && message !== "") return message;
  return typeof reason === "string" && reason !== "" ? reason : otherwise;
}

function part(value: unknown): JsonObject {
  return isJsonObject(value) ? value : {};
}

function count(value: unknown, otherwise = 0): number {
  return typeof value === "number" ? value : otherwise;
}

import type { DeployedResourceRef } from "../../api/kinds/deployed-resource-ref.ts";
import type { ExecutionStage } from "../../api/kinds/execution-stage.ts";
import { objectIdentity, type PackDocument } from "../artifact/pack-object.ts";
import { STAGES, type StageName } from "../manifest/pack-manifest.ts";
import {
  isCrd,
  isCustomResource,
  isNamespace,
  isSupporting,
  isWebhookOrApiService,
  kindRank,
  stageOf,
} from "./kind-rank.ts";

/** Step names as PackLog records them (dispatcher §8.3); workload stages are sub-steps `stage:{name}`. */
export type ApplyStepName =
  | "apply-namespaces"
  | "apply-rbac-tenant"
  | "apply-cluster-scoped"
  | "apply-workload"
  | `stage:${StageName}`
  | "apply-webhooks";

/** A step: its groups are applied one after the other, the documents of a group together. */
export interface ApplyStep {
  readonly name: ApplyStepName;
  readonly groups: readonly ApplyGroup[];
  /** True when everything of the step must be ready before the next step begins. */
  readonly barrier: boolean;
}

/** Documents of one kind rank and wave. */
export interface ApplyGroup {
  readonly documents: readonly PackDocument[];
  /** True when the API server must serve the kinds they define before anything else is applied. */
  readonly crds: boolean;
}

/** Annotation that moves an object inside its kind (dispatcher §0.1): an integer from -100 to 100, default 0. */
export const WAVE = "ontai.dev/wave";

/**
 * The order in which a pack is applied (dispatcher §8.3 steps 8 to 14, §8.4): namespaces; RBAC; cluster-scoped objects, CRDs first;
 * what workloads need and never wait for (ConfigMap, Secret, Service: a StatefulSet of an earlier stage would wait for ever for its
 * ConfigMap in a later one); the workload stages, the declared ones first, each to be ready before the next; webhooks and API
 * services last, when their backends are ready. Cluster-scoped custom resources go with the last stage, because the operator that
 * admits them may be part of the pack. Nothing is ever left out.
 */
export function executionOrder(
  documents: readonly PackDocument[],
  declared: readonly ExecutionStage[] = [],
): readonly ApplyStep[] {
  const pins = pinsOf(declared);
  const stageNames = [...new Set([...declared.map((stage) => stage.name), ...STAGES])];
  const steps = new Map<ApplyStepName, PackDocument[]>(
    (["apply-namespaces", "apply-rbac-tenant", "apply-cluster-scoped", "apply-workload"] as ApplyStepName[])
      .concat(stageNames.map((name): ApplyStepName => `stage:${name}`))
      .concat("apply-webhooks")
      .map((name) => [name, []]),
  );
  for (const document of documents) steps.get(stepOf(document, pins))?.push(document);
  const present = [...steps].filter(([, members]) => members.length > 0);
  return present.map(([name, members], i) => ({
    name,
    groups: groupsOf(members, pins),
    // The final readiness check covers the last step; namespaces, RBAC and supporting objects are ready at once.
    barrier: name.startsWith("stage:") && i < present.length - 1,
  }));
}

/** The inventory of a pack as it will be deployed, in apply order, before anything is known about the target (resources-seam §0.5). */
export function plannedInventory(
  documents: readonly PackDocument[],
  declared: readonly ExecutionStage[] = [],
): readonly DeployedResourceRef[] {
  const pins = pinsOf(declared);
  let order = 0;
  return executionOrder(documents, declared)
    .flatMap((step) => step.groups.flatMap((group) => group.documents))
    .map((document) =>
      plannedRef(document, pins.get(objectIdentity(document.object))?.stage ?? stageOf(document.object), order++),
    );
}

function plannedRef(document: PackDocument, stage: StageName, order: number): DeployedResourceRef {
  const { apiVersion, kind, metadata } = document.object;
  return {
    apiVersion,
    kind,
    name: metadata.name,
    ...(metadata.namespace === undefined ? {} : { namespace: metadata.namespace }),
    contentHash: document.contentHash,
    bucket: document.bucket,
    stage,
    order,
  };
}

interface Pin {
  readonly stage: StageName;
  readonly position: number;
}

function pinsOf(declared: readonly ExecutionStage[]): ReadonlyMap<string, Pin> {
  const pins = new Map<string, Pin>();
  for (const stage of declared)
    for (const [position, manifest] of (stage.manifests ?? []).entries())
      pins.set(manifest, { stage: stage.name, position });
  return pins;
}

function stepOf(document: PackDocument, pins: ReadonlyMap<string, Pin>): ApplyStepName {
  const { object, bucket } = document;
  if (isNamespace(object)) return "apply-namespaces";
  if (isCrd(object)) return "apply-cluster-scoped";
  if (isWebhookOrApiService(object)) return "apply-webhooks";
  const pin = pins.get(objectIdentity(object));
  if (pin) return `stage:${pin.stage}`;
  if (bucket === "rbac") return "apply-rbac-tenant";
  if (isCustomResource(object)) return "stage:stateless";
  if (bucket === "cluster-scoped") return "apply-cluster-scoped";
  return isSupporting(object) ? "apply-workload" : `stage:${stageOf(object)}`;
}

function groupsOf(documents: readonly PackDocument[], pins: ReadonlyMap<string, Pin>): readonly ApplyGroup[] {
  const keyed = documents
    .map((document) => ({ document, key: sortKey(document, pins) }))
    .sort(
      (a, b) =>
        compareKeys(a.key, b.key) || (objectIdentity(a.document.object) < objectIdentity(b.document.object) ? -1 : 1),
    );
  const groups: { key: readonly number[]; documents: PackDocument[] }[] = [];
  for (const { document, key } of keyed) {
    const last = groups.at(-1);
    if (last && compareKeys(last.key, key) === 0) last.documents.push(document);
    else groups.push({ key, documents: [document] });
  }
  return groups.map((group) => ({ documents: group.documents, crds: group.documents.some((d) => isCrd(d.object)) }));
}

/** Pinned objects first, one by one in their declared order; then by kind and wave. */
function sortKey(document: PackDocument, pins: ReadonlyMap<string, Pin>): readonly number[] {
  const pin = pins.get(objectIdentity(document.object));
  return pin ? [0, pin.position, 0] : [1, kindRank(document.object), waveOf(document)];
}

function waveOf(document: PackDocument): number {
  const wave = Number(document.object.metadata.annotations?.[WAVE] ?? "0");
  return Number.isInteger(wave) ? Math.max(-100, Math.min(100, wave)) : 0;
}

function compareKeys(a: readonly number[], b: readonly number[]): number {
  for (const [i, value] of a.entries()) {
    const other = b[i] ?? 0;
    if (value !== other) return value - other;
  }
  return 0;
}

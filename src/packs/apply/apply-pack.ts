import type { DeployedResourceRef } from "../../api/kinds/deployed-resource-ref.ts";
import type { Unstructured } from "../../api/object.ts";
import { errorMessage } from "../../base/errors.ts";
import { identityOf, objectIdentity, objectText, type PackDocument } from "../artifact/pack-object.ts";
import { unionInventory } from "../inventory/inventory.ts";
import { type ApplyStep, executionOrder } from "../order/execution-order.ts";
import { ApplyFailure, type ObjectFailure } from "./apply-failure.ts";
import { applyObject, type ObjectOutcome } from "./apply-object.ts";
import { awaitReady } from "./await-ready.ts";
import { concurrently } from "./concurrently.ts";
import { ADOPTED } from "./ownership.ts";
import type { ApplyParts, PackApplication } from "./pack-application.ts";
import { planObjects, type PlannedObject } from "./plan-objects.ts";
import { preflight } from "./preflight.ts";
import { mayWait } from "./readiness.ts";
import { ResourceMapper } from "./resource-mapper.ts";

/** Options of {@link applyPack}. */
export interface ApplyPackOptions extends PackApplication {
  readonly documents: readonly PackDocument[];
  /** What was recorded before; a superset of what exists. */
  readonly inventory: readonly DeployedResourceRef[];
  /**
   * Stores an inventory durably before it resolves. Called with the union of old and new before the first write to the target
   * and again with what is known of the new objects.
   */
  readonly record: (inventory: readonly DeployedResourceRef[]) => Promise<void>;
  /** Budget for everything, milliseconds from now. */
  readonly timeoutMs: number;
}

/** How long a CRD may take to be established. */
const CRD_WAIT_MS = 30_000;

/**
 * Applies a pack (dispatcher §8.3 steps 5 to 14). Nothing is written before every object was looked at and tried; nothing is applied
 * that the inventory does not hold. Safe to repeat from the start after a crash at any point.
 *
 * @returns the inventory as recorded: the new objects with their uid, and what the old version left behind
 * @throws ApplyFailure
 */
export async function applyPack(parts: ApplyParts, options: ApplyPackOptions): Promise<readonly DeployedResourceRef[]> {
  const deadlineMs = parts.clock.monotonic() + options.timeoutMs;
  const mapper = new ResourceMapper(parts.cluster);
  const planned = await planObjects(parts, mapper, options, options.documents);
  await preflight(parts, mapper, [...planned.values()]);
  const next = [...planned.values()].map(({ ref }) => ref).sort((a, b) => (a.order ?? 0) - (b.order ?? 0));
  const union = unionInventory(options.inventory, next);
  await options.record(union);
  const known = new Map<string, DeployedResourceRef>();
  try {
    for (const step of executionOrder(options.documents, options.executionOrder ?? [])) {
      await applyStep(parts, mapper, options, step, planned, known, deadlineMs);
    }
  } finally {
    // Also after a failure: what is known about objects that were written must not be lost with it.
    if (known.size > 0) await options.record(union.map((ref) => known.get(identityOf(ref)) ?? ref));
  }
  return union.map((ref) => known.get(identityOf(ref)) ?? ref);
}

async function applyStep(
  parts: ApplyParts,
  mapper: ResourceMapper,
  options: ApplyPackOptions,
  step: ApplyStep,
  planned: ReadonlyMap<string, PlannedObject>,
  known: Map<string, DeployedResourceRef>,
  deadlineMs: number,
): Promise<void> {
  const applied: DeployedResourceRef[] = [];
  for (const group of step.groups) {
    parts.signal.throwIfAborted();
    if (parts.clock.monotonic() >= deadlineMs) throw deadlineFailure(step, options.timeoutMs);
    const failures: { readonly failure: ObjectFailure; readonly outcome: Exclude<ObjectOutcome, { ok: true }> }[] = [];
    await concurrently(group.documents, async (document) => {
      const plan = planned.get(objectIdentity(document.object));
      if (plan === undefined)
        throw new Error(`${document.object.kind} ${document.object.metadata.name} was not planned`);
      const outcome = await outcomeOf(parts, mapper, options, plan);
      if (outcome.ok) {
        const ref = knownRef(plan, outcome.object);
        known.set(identityOf(ref), ref);
        applied.push(ref);
      } else failures.push({ failure: { object: objectText(plan.ref), message: outcome.message }, outcome });
    });
    if (failures.length > 0) throw stepFailure(step, failures);
    if (group.crds) {
      const crds = applied.filter((ref) => ref.kind === "CustomResourceDefinition");
      await awaitReady(
        parts,
        mapper,
        options.packInstalled,
        crds,
        Math.min(deadlineMs, parts.clock.monotonic() + CRD_WAIT_MS),
      );
      mapper.refresh();
    }
  }
  if (!step.barrier) return;
  // Claims may wait for the pods of a later stage; the final check awaits them.
  const awaited = applied.filter((ref) => ref.kind !== "PersistentVolumeClaim" && mayAwait(planned, ref));
  await awaitReady(parts, mapper, options.packInstalled, awaited, deadlineMs);
}

async function outcomeOf(
  parts: ApplyParts,
  mapper: ResourceMapper,
  options: ApplyPackOptions,
  plan: PlannedObject,
): Promise<ObjectOutcome> {
  try {
    return await applyObject(parts, mapper, options, plan);
  } catch (error) {
    if (parts.signal.aborted) throw error;
    return { ok: false, reason: "Unreachable", message: errorMessage(error), retryable: true };
  }
}

function mayAwait(planned: ReadonlyMap<string, PlannedObject>, ref: DeployedResourceRef): boolean {
  const plan = planned.get(identityOf(ref));
  return plan !== undefined && mayWait(plan.document.object);
}

/** What is known of an object after it was applied. An object is ours by creation unless it was taken over or only had to exist. */
function knownRef(plan: PlannedObject, object: Unstructured): DeployedResourceRef {
  const { uid, annotations } = object.metadata;
  const created = plan.action !== "leave" && annotations?.[ADOPTED] !== "true";
  return { ...plan.ref, ...(uid === undefined ? {} : { uid }), created };
}

function stepFailure(
  step: ApplyStep,
  failures: readonly { readonly failure: ObjectFailure; readonly outcome: Exclude<ObjectOutcome, { ok: true }> }[],
): ApplyFailure {
  const first = failures.find(({ outcome }) => !outcome.retryable) ?? failures[0];
  const reason = first?.outcome.reason ?? "Refused";
  return new ApplyFailure({
    step: step.name,
    reason,
    category: "ExecutionFailure",
    retryable: failures.every(({ outcome }) => outcome.retryable),
    failures: failures.map(({ failure }) => failure),
    ...(reason === "ImmutableField"
      ? { remedy: "name the kind in lifecyclePolicies.replace to delete and create it again" }
      : {}),
  });
}

function deadlineFailure(step: ApplyStep, timeoutMs: number): ApplyFailure {
  return new ApplyFailure({
    step: step.name,
    reason: "DeadlineExceeded",
    category: "ExecutionFailure",
    retryable: true,
    failures: [{ object: "the delivery", message: `did not end within ${timeoutMs / 1000} s` }],
    remedy: "raise deployTimeoutSeconds, or look at what the step before waited for",
  });
}

/** Waits until the whole pack is ready (dispatcher §8.3 step 15). @throws ApplyFailure `NotReady`, `WorkloadFailed` */
export async function awaitPackReady(
  parts: ApplyParts,
  packInstalled: string,
  documents: readonly PackDocument[],
  inventory: readonly DeployedResourceRef[],
  timeoutMs: number,
): Promise<void> {
  const waited = new Set(documents.filter(({ object }) => mayWait(object)).map(({ object }) => objectIdentity(object)));
  const refs = inventory.filter((ref) => waited.has(identityOf(ref)));
  await awaitReady(parts, new ResourceMapper(parts.cluster), packInstalled, refs, parts.clock.monotonic() + timeoutMs);
}

import type { Unstructured } from "../../api/object.ts";
import type { ResourceType } from "../../api/resource-type.ts";
import { type BackoffPolicy, fullJitter } from "../../base/backoff.ts";
import { ApiStatusError, isRetryable, isStatus } from "../../cluster/api-status-error.ts";
import { ownerOf, PACK_FIELD_MANAGER } from "./ownership.ts";
import type { ApplyParts, PackApplication } from "./pack-application.ts";
import type { PlannedObject } from "./plan-objects.ts";
import type { ResourceMapper } from "./resource-mapper.ts";

/** Tries per object for 429, 5xx and timeouts (dispatcher §8.4). */
const MAX_TRIES = 5;
const RETRY: BackoffPolicy = { baseMs: 500, factor: 2, capMs: 8_000 };
/** How long an admission webhook may take to answer for the first time. */
const WEBHOOK_WAIT_MS = 60_000;
/** How long a kind may take to be served after its CRD was applied. */
const DISCOVERY_WAIT_MS = 30_000;
/** Pause between looks at discovery or at an object that is being deleted. */
const POLL_MS = 200;
/** How long a replaced object may take to be gone. */
const REPLACE_WAIT_MS = 60_000;

/** Outcome of applying one object. */
export type ObjectOutcome =
  | { readonly ok: true; readonly object: Unstructured }
  | {
      readonly ok: false;
      readonly reason: "ImmutableField" | "Conflict" | "Refused" | "Unreachable" | "KindNotServed";
      readonly message: string;
      readonly retryable: boolean;
    };

/**
 * Applies one planned object: server-side apply, retries, discovery refresh, the ownership rules for conflicts, and replacement where
 * the policy names the kind.
 */
export async function applyObject(
  parts: ApplyParts,
  mapper: ResourceMapper,
  application: PackApplication,
  planned: PlannedObject,
): Promise<ObjectOutcome> {
  if (planned.action === "leave" && planned.live) return { ok: true, object: planned.live };
  const type = await servedType(parts, mapper, planned);
  if (type === undefined)
    return {
      ok: false,
      reason: "KindNotServed",
      message: `kind ${planned.ref.kind} is not served ${DISCOVERY_WAIT_MS / 1000} s after its CustomResourceDefinition was applied`,
      retryable: true,
    };
  const first = await applyWithRetries(parts, type, planned, planned.action !== "create");
  if (first.ok) return first;
  if (first.reason === "Conflict") return resolveConflict(parts, type, application, planned, first.message);
  if (first.reason === "ImmutableField" && (application.lifecyclePolicies.replace ?? []).includes(planned.ref.kind))
    return replace(parts, type, planned);
  return first;
}

/** The resource, waiting for a kind whose CRD was just applied. */
async function servedType(
  parts: ApplyParts,
  mapper: ResourceMapper,
  planned: PlannedObject,
): Promise<ResourceType | undefined> {
  const deadline = parts.clock.monotonic() + DISCOVERY_WAIT_MS;
  for (;;) {
    const type = await mapper.find(planned.ref);
    if (type !== undefined || parts.clock.monotonic() >= deadline) return type;
    await parts.clock.sleep(POLL_MS, parts.signal);
    mapper.refresh();
  }
}

async function applyWithRetries(
  parts: ApplyParts,
  type: ResourceType,
  planned: PlannedObject,
  force: boolean,
): Promise<ObjectOutcome> {
  const { name, namespace } = planned.ref;
  const webhookDeadline = parts.clock.monotonic() + WEBHOOK_WAIT_MS;
  for (let tries = 1; ;) {
    parts.signal.throwIfAborted();
    try {
      const object = await parts.cluster.patch(
        type,
        type.namespaced && namespace ? { namespace, name } : { name },
        { type: "apply", body: planned.desired },
        { fieldManager: PACK_FIELD_MANAGER, force },
      );
      return { ok: true, object };
    } catch (error) {
      const outcome = classify(error);
      if (
        outcome.waitForWebhook
          ? parts.clock.monotonic() >= webhookDeadline
          : outcome.reason !== "Unreachable" || tries >= MAX_TRIES
      )
        return outcome;
      if (!outcome.waitForWebhook) tries++;
      const afterMs = error instanceof ApiStatusError ? (error.details.retryAfterSeconds ?? 0) * 1000 : 0;
      await parts.clock.sleep(Math.max(afterMs, fullJitter(RETRY, tries, parts.random)), parts.signal);
    }
  }
}

type Refusal = Exclude<ObjectOutcome, { ok: true }> & { readonly waitForWebhook: boolean };

/** Sorts what an API server says about an apply (dispatcher §8.4). */
export function classify(error: unknown): Refusal {
  const message = error instanceof Error ? error.message : String(error);
  const refusal = { ok: false, message, waitForWebhook: false } as const;
  if (!(error instanceof ApiStatusError)) return { ...refusal, reason: "Unreachable", retryable: true };
  if (error.code === 409) return { ...refusal, reason: "Conflict", retryable: false };
  if (error.code === 500 && /failed calling webhook/.test(message))
    return { ...refusal, reason: "Unreachable", retryable: true, waitForWebhook: true };
  if (isRetryable(error)) return { ...refusal, reason: "Unreachable", retryable: true };
  if (isImmutable(error)) return { ...refusal, reason: "ImmutableField", retryable: false };
  // 403: a namespace that is still being deleted will be gone, and rights may be granted; neither is a fault of the content.
  return { ...refusal, reason: "Refused", retryable: error.code === 403 };
}

function isImmutable(error: ApiStatusError): boolean {
  if (error.code !== 422) return false;
  const texts = [error.message, ...(error.details.causes ?? []).map((cause) => cause.message)];
  return texts.some((text) => /immutable|may not be changed|updates to statefulset spec|cannot be changed/i.test(text));
}

/** A conflict means another manager owns a field: ours is forced, anything else follows the adoption policy. */
async function resolveConflict(
  parts: ApplyParts,
  type: ResourceType,
  application: PackApplication,
  planned: PlannedObject,
  message: string,
): Promise<ObjectOutcome> {
  const { name, namespace } = planned.ref;
  const live = await parts.cluster.get(type, type.namespaced && namespace ? { namespace, name } : { name });
  const mayForce =
    ownerOf(live, application.packInstalled) === "ours" || application.lifecyclePolicies.adoption === "Adopt";
  if (!mayForce) return { ok: false, reason: "Conflict", message, retryable: false };
  return applyWithRetries(parts, type, planned, true);
}

/** Deletes and applies again; stateful kinds orphan their dependents (dispatcher §8.4). */
async function replace(parts: ApplyParts, type: ResourceType, planned: PlannedObject): Promise<ObjectOutcome> {
  const { name, namespace } = planned.ref;
  const key = type.namespaced && namespace ? { namespace, name } : { name };
  parts.log.info({ kind: type.kind, name, namespace }, "replacing an object with an immutable change");
  const live = await parts.cluster.get(type, key);
  await parts.cluster.delete(type, key, {
    propagationPolicy: type.kind === "StatefulSet" ? "Orphan" : "Background",
    ...(live.metadata.uid === undefined ? {} : { preconditions: { uid: live.metadata.uid } }),
  });
  const deadline = parts.clock.monotonic() + REPLACE_WAIT_MS;
  for (;;) {
    try {
      const still = await parts.cluster.get(type, key);
      if (still.metadata.uid !== live.metadata.uid) break;
    } catch (error) {
      if (isStatus(error, "NotFound")) break;
      throw error;
    }
    if (parts.clock.monotonic() >= deadline)
      return {
        ok: false,
        reason: "Unreachable",
        message: `is still being deleted after ${REPLACE_WAIT_MS / 1000} s`,
        retryable: true,
      };
    await parts.clock.sleep(POLL_MS, parts.signal);
  }
  return applyWithRetries(parts, type, planned, true);
}

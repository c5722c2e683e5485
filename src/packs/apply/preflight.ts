import { errorMessage } from "../../base/errors.ts";
import { ApiStatusError } from "../../cluster/api-status-error.ts";
import { objectText } from "../artifact/pack-object.ts";
import { isNamespace } from "../order/kind-rank.ts";
import { ApplyFailure, type ObjectFailure } from "./apply-failure.ts";
import { classify } from "./apply-object.ts";
import { concurrently } from "./concurrently.ts";
import { PACK_FIELD_MANAGER } from "./ownership.ts";
import type { ApplyParts } from "./pack-application.ts";
import type { PlannedObject } from "./plan-objects.ts";
import type { ResourceMapper } from "./resource-mapper.ts";

/**
 * Tries every object on the server without writing (dispatcher §8.3 step 6) and collects what it refuses, so that a pack with a bad
 * object leaves the target untouched. Objects whose kind or namespace comes with the pack cannot be tried yet; unchanged ones need not
 * be; immutable changes are left to the apply, which knows the replace policy.
 *
 * @throws ApplyFailure `PreflightRefused`
 */
export async function preflight(
  parts: ApplyParts,
  mapper: ResourceMapper,
  planned: readonly PlannedObject[],
): Promise<void> {
  const coming = new Set(planned.filter((p) => p.action === "create" && isNamespace(p.ref)).map((p) => p.ref.name));
  const failures: ObjectFailure[] = [];
  let final = false;
  await concurrently(planned, async ({ ref, desired, action, unchanged }) => {
    parts.signal.throwIfAborted();
    if (unchanged || action === "leave" || (ref.namespace !== undefined && coming.has(ref.namespace))) return;
    const type = await mapper.find(ref);
    if (type === undefined) return;
    try {
      await parts.cluster.patch(
        type,
        type.namespaced && ref.namespace ? { namespace: ref.namespace, name: ref.name } : { name: ref.name },
        { type: "apply", body: desired },
        { fieldManager: PACK_FIELD_MANAGER, force: action !== "create", dryRun: true },
      );
    } catch (error) {
      // What may pass later, and what the apply decides by policy, is not for the preflight to refuse.
      const refusal = classify(error);
      if (refusal.reason !== "Refused" || dryRunUnsupported(error)) return;
      final ||= !refusal.retryable;
      failures.push({ object: objectText(ref), message: errorMessage(error) });
    }
  });
  if (failures.length > 0)
    throw new ApplyFailure({
      step: "preflight",
      reason: "PreflightRefused",
      category: "ValidationFailure",
      retryable: !final,
      failures,
      remedy: "correct these objects and publish a new version; nothing was applied",
    });
}

/** An admission webhook with side effects makes a dry run impossible, which says nothing about the object. */
function dryRunUnsupported(error: unknown): boolean {
  return error instanceof ApiStatusError && /does not support dry run/i.test(error.message);
}

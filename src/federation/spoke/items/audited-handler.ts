import type { AuditTrail } from "../../../api/audit-record.ts";
import { Nack_Class } from "../../../api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import type { ItemContext, ItemHandler, ItemOutcome } from "../ports.ts";

/** Refusals remembered, so that a retried item is told once; beyond it the oldest are forgotten. */
const MAX_REMEMBERED = 1_000;

/**
 * A handler whose refusals of what is not trusted - signature, key, cluster, ordering, digest - the audit log hears of: once for
 * each body and reason, however often it is tried.
 */
export function auditedHandler(handler: ItemHandler, trail: AuditTrail): ItemHandler {
  const told = new Set<string>();
  const heard = async ({ item, cluster }: ItemContext, outcome: ItemOutcome): Promise<ItemOutcome> => {
    if (outcome.ok || outcome.nack.class !== Nack_Class.UNTRUSTED) return outcome;
    const { reason, detail } = outcome.nack;
    const key = `${item.kind}/${item.name} ${item.digest} ${reason}`;
    if (told.has(key)) return outcome;
    told.add(key);
    for (const oldest of told) {
      if (told.size <= MAX_REMEMBERED) break;
      told.delete(oldest);
    }
    await trail.record({
      action: "signature.rejected",
      decision: "deny",
      subject: `cluster:${cluster}`,
      resource: item.name,
      kind: item.kind,
      code: reason,
      details: { version: item.version, digest: item.digest, detail },
    });
    return outcome;
  };
  return {
    kind: handler.kind,
    verify: async (context) => heard(context, await handler.verify(context)),
    apply: async (context) => heard(context, await handler.apply(context)),
    healthy: (context) => handler.healthy(context),
    remove: async (context) => heard(context, await handler.remove(context)),
  };
}

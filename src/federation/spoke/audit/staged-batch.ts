import type { ConfigMapObject } from "../../../api/builtin.ts";
import { type JsonObject, isJsonObject } from "../../../base/json.ts";

/** Label of batches that a producer staged (conductor §4.11). */
export const BATCH_LABEL = "seam.ontai.dev/audit-batch";
/** The producer's number of a batch. */
const BATCH_SEQUENCE = "seam.ontai.dev/batch-sequence";
/** Most events of one batch. */
const MAX_EVENTS = 1_000;
const DECISIONS: ReadonlySet<unknown> = new Set(["admit", "deny", "audit", "system", "allow"]);
/** Actions of the log itself and of the PermissionService: nobody else's. */
const RESERVED = /^(audit|authz)\./;

/** What a staged object holds. */
export type StagedBatch =
  | { readonly ok: true; readonly events: readonly JsonObject[] }
  /** Why it cannot be taken over, for people. */
  | { readonly ok: false; readonly problem: string };

/**
 * Reads a staged batch; all of it or nothing. The producer's number of an event becomes `sourceSequence`: numbers and chain are the
 * log's own.
 */
export function readStagedBatch({ metadata, data }: ConfigMapObject): StagedBatch {
  let list: unknown;
  try {
    list = JSON.parse(data?.["events"] ?? "");
  } catch {
    return { ok: false, problem: "data.events: a JSON array of events, found no JSON" };
  }
  if (!Array.isArray(list)) return { ok: false, problem: "data.events: a JSON array of events, found another value" };
  if (list.length > MAX_EVENTS)
    return { ok: false, problem: `data.events: at most ${MAX_EVENTS} events, found ${list.length}` };
  const batchSequence = metadata.annotations?.[BATCH_SEQUENCE];
  const events: JsonObject[] = [];
  for (const [at, entry] of (list as readonly unknown[]).entries()) {
    if (!isJsonObject(entry)) return { ok: false, problem: `data.events[${at}]: an object` };
    const { sequenceNumber, hash: _hash, prevHash: _prevHash, ...event } = entry;
    const { action, decision } = event;
    if (typeof action !== "string" || action === "" || RESERVED.test(action))
      return { ok: false, problem: `data.events[${at}].action: a text that does not begin with audit. or authz.` };
    if (!DECISIONS.has(decision))
      return { ok: false, problem: `data.events[${at}].decision: one of admit, deny, audit, system, allow` };
    events.push({
      ...event,
      source: `ConfigMap ${metadata.name}`,
      sourceSequence: typeof sequenceNumber === "number" ? String(sequenceNumber) : String(at + 1),
      ...(batchSequence !== undefined && { sourceBatch: batchSequence }),
    });
  }
  return { ok: true, events };
}

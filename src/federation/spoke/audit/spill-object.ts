import type { ConfigMapObject } from "../../../api/builtin.ts";
import { LABELS, NAMESPACES } from "../../../api/names.ts";
import { type JsonObject, isJsonObject } from "../../../base/json.ts";
import type { HeldAuditEvent } from "../../outbox/audit-log.ts";
import { parseAuditEvent } from "../../audit/audit-chain.ts";
import { type NumberedEvents, readNumberedEvents } from "../../audit/numbered-events.ts";

/** Label of spilled events, so that one list finds them all. */
export const SPILL_LABEL = "seam.ontai.dev/audit-spill";
/** Most bytes of events in one object. */
export const MAX_SPILL_BYTES = 256 * 1024;
/** Cost of an event beside its own bytes. */
const EVENT_OVERHEAD_BYTES = 40;

/** Consecutive events of one numbering as they lie in a ConfigMap. */
export type SpilledEvents = NumberedEvents<{ readonly event: JsonObject }>;

/** `conductor-audit-spill-{epoch}-{first number}`: an epoch is one store, so no other store gives this name. */
export function spillName(epoch: bigint, first: bigint): string {
  return `conductor-audit-spill-${epoch}-${first}`;
}

/** As many of the events as one object holds; at least one. */
export function fitting(events: readonly HeldAuditEvent[]): readonly HeldAuditEvent[] {
  let bytes = 0;
  let count = 0;
  for (const { event } of events) {
    bytes += event.length + EVENT_OVERHEAD_BYTES;
    if (count > 0 && bytes > MAX_SPILL_BYTES) break;
    count += 1;
  }
  return events.slice(0, count);
}

/** The object of some events. */
export function spillObject(clusterId: string, epoch: bigint, events: readonly HeldAuditEvent[]): ConfigMapObject {
  const list = events.map(({ sequence, event }) => ({ sequence: String(sequence), event: parseAuditEvent(event) }));
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: {
      name: spillName(epoch, events[0]?.sequence ?? 0n),
      namespace: NAMESPACES.ont,
      labels: { [SPILL_LABEL]: "true", [LABELS.cluster]: clusterId },
    },
    data: { epoch: String(epoch), events: JSON.stringify(list) },
  };
}

/** Reads an object; undefined when it is not what an agent wrote. */
export function readSpill(object: ConfigMapObject): SpilledEvents | undefined {
  return readNumberedEvents(object, ({ event }) => (isJsonObject(event) ? { event } : undefined));
}

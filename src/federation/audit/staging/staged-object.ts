import type { ConfigMapObject } from "../../../api/builtin.ts";
import { LABELS, NAMESPACES } from "../../../api/names.ts";
import { readNumberedEvents } from "../numbered-events.ts";
import type { SinkBatch, SinkEvent } from "../sink-batch.ts";

/** Label of staged batches, so that one list finds them all. */
export const STAGED_LABEL = "seam.ontai.dev/federation-audit";
/** Most bytes of one object's events as they are written. */
export const MAX_STAGED_BYTES = 512 * 1024;
/** Cost of an event beside its bytes: hashes, number, quotes. */
const EVENT_OVERHEAD_BYTES = 180;

/** A batch as it waits on the API server. */
export interface StagedBatch extends SinkBatch {
  readonly cluster: string;
}

/** Splits a batch into parts that fit one object each; an event that is larger than that has a part of its own. */
export function stagedParts({ epoch, events }: SinkBatch): readonly SinkBatch[] {
  const parts: SinkEvent[][] = [];
  let bytes = 0;
  for (const event of events) {
    const cost = Math.ceil(event.event.length / 3) * 4 + EVENT_OVERHEAD_BYTES;
    const last = parts.at(-1);
    if (last === undefined || bytes + cost > MAX_STAGED_BYTES) {
      parts.push([event]);
      bytes = cost;
    } else {
      last.push(event);
      bytes += cost;
    }
  }
  return parts.map((part) => ({ epoch, events: part }));
}

/** The object of a part: its name says what it holds, so writing it twice is one. */
export function stagedObject(cluster: string, { epoch, events }: SinkBatch): ConfigMapObject {
  const first = events[0]?.sequence ?? 0n;
  const last = events.at(-1)?.sequence ?? 0n;
  const list = events.map(({ sequence, event, hash, prevHash }) => ({
    sequence: String(sequence),
    event: base64(event),
    hash: base64(hash),
    prevHash: base64(prevHash),
  }));
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: {
      name: `fed-audit-${cluster}-${epoch}-${first}-${last}`,
      namespace: NAMESPACES.seam,
      labels: { [STAGED_LABEL]: "true", [LABELS.cluster]: cluster },
      annotations: {
        "seam.ontai.dev/cluster-id": cluster,
        "seam.ontai.dev/batch-sequence": String(first),
        "seam.ontai.dev/audit-event-count": String(events.length),
      },
    },
    immutable: true,
    data: { epoch: String(epoch), events: JSON.stringify(list) },
  };
}

/** Reads an object; undefined when it is not what a hub wrote. */
export function readStaged(object: ConfigMapObject): StagedBatch | undefined {
  const cluster = object.metadata.labels?.[LABELS.cluster] ?? "";
  const read = readNumberedEvents(object, ({ event, hash, prevHash }) =>
    typeof event === "string" && typeof hash === "string" && typeof prevHash === "string"
      ? { event: bytes(event), hash: bytes(hash), prevHash: bytes(prevHash) }
      : undefined,
  );
  return cluster === "" || read === undefined ? undefined : { cluster, ...read };
}

function base64(value: Uint8Array): string {
  return Buffer.from(value).toString("base64");
}

function bytes(text: string): Uint8Array {
  return Buffer.from(text, "base64");
}

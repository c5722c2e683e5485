import { createHash } from "node:crypto";
import type { StoredAuditEvent } from "./audit-log-reader.ts";
import type { SinkEvent } from "./sink-batch.ts";

/** Most events of one cluster in quarantine; what comes beyond it is refused all the same, and counted. */
export const MAX_QUARANTINED = 1_000;
/** Most bytes of them. */
export const MAX_QUARANTINED_BYTES = 4 * 1024 * 1024;
/** Most entries of one page. */
export const MAX_QUARANTINE_PAGE = 200;

/** Names one event in quarantine: a number can be refused more than once. */
export interface QuarantineKey {
  readonly cluster: string;
  readonly epoch: bigint;
  readonly sequence: bigint;
  /** {@link quarantineDigest}, 32 bytes. */
  readonly digest: Uint8Array;
}

/** One event in quarantine, without its bytes. */
export interface QuarantineEntry extends QuarantineKey {
  /** Why it was refused (`AUDIT_CONFLICT`, …); empty for what older versions kept. */
  readonly code: string;
  /** RFC 3339. */
  readonly receivedAt: string;
  readonly bytes: number;
}

/** One event in quarantine as it came, beside the event that has its number in the log. */
export interface QuarantinedEvent extends QuarantineEntry {
  readonly event: Uint8Array;
  readonly hash: Uint8Array;
  readonly prevHash: Uint8Array;
  /** Undefined when the number has no event: what came was refused for itself, or the log's was removed by age. */
  readonly stored: StoredAuditEvent | undefined;
}

/** What one cluster has in quarantine. */
export interface QuarantineTotal {
  readonly cluster: string;
  readonly entries: bigint;
  readonly bytes: bigint;
  /** Refused events that found no place, since the sink was created; one that is sent again counts again. */
  readonly overflowed: bigint;
}

/** The quarantine of a sink: kept apart from the log, bounded, for people to look at. */
export interface AuditQuarantine {
  /** Entries in the order of their keys, after one; at most {@link MAX_QUARANTINE_PAGE}. */
  quarantinePage(
    cluster: string | undefined,
    after: QuarantineKey | undefined,
    limit: number,
  ): Promise<readonly QuarantineEntry[]>;
  /** Of every cluster that has or had something in quarantine. */
  quarantineTotals(cluster: string | undefined): Promise<readonly QuarantineTotal[]>;
  quarantinedEvent(key: QuarantineKey): Promise<QuarantinedEvent | undefined>;
  /** Removes an entry and so makes room; false when it was not there. The log itself never changes. */
  release(key: QuarantineKey): Promise<boolean>;
}

/** What a sink's worker is asked about its quarantine. */
export type QuarantineAsk =
  | {
      readonly op: "page";
      readonly cluster: string | undefined;
      readonly after: QuarantineKey | undefined;
      readonly limit: number;
    }
  | { readonly op: "totals"; readonly cluster: string | undefined }
  | { readonly op: "event"; readonly key: QuarantineKey }
  | { readonly op: "release"; readonly key: QuarantineKey };

/** Tells two refused events of one number apart, whatever hash they claim. */
export function quarantineDigest({ hash, event }: Pick<SinkEvent, "hash" | "event">): Uint8Array {
  return createHash("sha256").update(hash).update(event).digest();
}

/** The room one cluster has left. */
export class QuarantineRoom {
  #entries: number;
  #bytes: number;

  constructor(entries: number, bytes: number) {
    this.#entries = entries;
    this.#bytes = bytes;
  }

  /** Takes the room for an event of so many bytes; false when there is none. */
  take(bytes: number): boolean {
    if (this.#entries >= MAX_QUARANTINED || this.#bytes + bytes > MAX_QUARANTINED_BYTES) return false;
    this.#entries += 1;
    this.#bytes += bytes;
    return true;
  }
}

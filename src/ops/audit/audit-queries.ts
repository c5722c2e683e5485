import { create } from "@bufbuild/protobuf";
import {
  AuditEventFilterSchema,
  type ListSnapshotLedgerRequest,
  type SnapshotLedgerEntry,
} from "../../api/gen/conductor/fleet/v1alpha1/audit_pb.ts";
import type {
  AuditLogEvent,
  QueryEventsRequest,
  TailEventsRequest,
  VerifyChainsResponse,
} from "../../api/gen/conductor/fleet/v1alpha1/audit_pb.ts";
import { sha256Hex } from "../../base/digest.ts";
import {
  type AuditFilter,
  type AuditLogReader,
  MAX_SCANNED,
  type StoredAuditEvent,
} from "../../federation/audit/audit-log-reader.ts";
import { auditFilter, invalid } from "./audit-filter.ts";
import { auditRow, ledgerRow, verdictRow } from "./audit-row.ts";
import { LEDGER_ACTIONS, snapshotLedger, snapshotSubject } from "./snapshot-ledger.ts";

/** Most events of one page, and before a tail. */
export const MAX_PAGE = 1_000;
const DEFAULT_PAGE = 100;
/** Looks at the log for one page: a search that finds little answers with what it has, and goes on by its token. */
const MAX_LOOKS = 200;
/** Most versions of one ledger, and how many when nothing is said. */
const MAX_LEDGER = 200;
const DEFAULT_LEDGER = 20;
/** Events of one version at most, but for those that are told again and again: so many are read for a version that is asked for. */
const EVENTS_OF_VERSION = 10;
/** Events of one message of a tail. */
const TAIL_CHUNK = 200;

/** What AuditService answers. */
export class AuditQueries {
  readonly #reader: AuditLogReader;
  readonly #ownCluster: string;

  /** @param ownCluster name of the hub's own log */
  constructor(reader: AuditLogReader, ownCluster: string) {
    this.#reader = reader;
    this.#ownCluster = ownCluster;
  }

  /** @throws GrpcStatusError INVALID_ARGUMENT */
  async page(
    request: QueryEventsRequest,
    signal: AbortSignal,
  ): Promise<{ events: AuditLogEvent[]; nextPageToken: string }> {
    const filter = auditFilter(request.filter);
    const size = sizeOf("page_size", request.pageSize) || DEFAULT_PAGE;
    const events: AuditLogEvent[] = [];
    let position =
      request.pageToken === "" ? undefined : positionOf(filter, request.pageToken, "page_token", "next_page_token");
    for (let looks = 0; looks < MAX_LOOKS; looks++) {
      signal.throwIfAborted();
      const found = await this.#reader.scan({ filter, order: "newest", position, limit: size - events.length });
      events.push(...found.events.map(auditRow));
      position = found.next;
      if (position === undefined) return { events, nextPageToken: "" };
      if (events.length >= size) break;
    }
    return { events, nextPageToken: position === undefined ? "" : tokenOf(filter, position) };
  }

  /** The last events, then further ones in the order of their arrival. A slow reader is waited for; it misses nothing. */
  async *tail(
    request: TailEventsRequest,
    signal: AbortSignal,
  ): AsyncGenerator<{ events: AuditLogEvent[]; position: string }> {
    const filter = auditFilter(request.filter);
    const last = sizeOf("last", request.last);
    const resumed =
      request.resumeToken === "" ? undefined : positionOf(filter, request.resumeToken, "resume_token", "position");
    let wake = (): void => {};
    let stored = false;
    const stop = this.#reader.subscribe(() => {
      stored = true;
      wake();
    });
    const onAbort = (): void => wake();
    signal.addEventListener("abort", onAbort);
    try {
      let position: bigint;
      if (resumed === undefined) {
        position = await this.#reader.newest();
        const events = last === 0 ? [] : await this.#lastUpTo(filter, position, last, signal);
        yield { events, position: tokenOf(filter, position) };
      } else position = resumed;
      while (!signal.aborted) {
        stored = false;
        const found = await this.#reader.scan({ filter, order: "oldest", position, limit: TAIL_CHUNK });
        position = found.next ?? found.events.at(-1)?.arrival ?? position;
        if (found.events.length > 0) yield { events: found.events.map(auditRow), position: tokenOf(filter, position) };
        if (found.next !== undefined) continue;
        if (stored || signal.aborted) continue;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    } finally {
      stop();
      signal.removeEventListener("abort", onAbort);
    }
  }

  /** The newest versions of a cluster's snapshot. @throws GrpcStatusError INVALID_ARGUMENT */
  async snapshotLedger(
    { cluster, limit }: ListSnapshotLedgerRequest,
    signal: AbortSignal,
  ): Promise<{ entries: SnapshotLedgerEntry[]; truncated: boolean }> {
    if (cluster === "") throw invalid([{ field: "cluster", description: "names a cluster" }]);
    if (limit > MAX_LEDGER)
      throw invalid([{ field: "limit", description: `is at most ${MAX_LEDGER}, found ${limit}` }]);
    const wanted = limit === 0 ? DEFAULT_LEDGER : limit;
    const filter = auditFilter(create(AuditEventFilterSchema, { subject: snapshotSubject(cluster) }));
    const events: StoredAuditEvent[] = [];
    let position: bigint | undefined;
    for (let looks = 0; looks < MAX_LOOKS; looks++) {
      signal.throwIfAborted();
      const found = await this.#reader.scan({ filter, order: "newest", position, limit: MAX_SCANNED });
      events.push(...found.events.filter(({ action }) => LEDGER_ACTIONS.has(action)));
      position = found.next;
      if (position === undefined || events.length > wanted * EVENTS_OF_VERSION) break;
    }
    const rows = snapshotLedger(events.toReversed(), cluster, this.#ownCluster).toReversed();
    const truncated = position !== undefined || rows.length > wanted;
    return { entries: rows.slice(0, wanted).map(ledgerRow), truncated };
  }

  /** Chain by chain. */
  async *verify(cluster: string, signal: AbortSignal): AsyncGenerator<VerifyChainsResponse> {
    for (const chain of await this.#reader.chains(cluster === "" ? undefined : cluster))
      yield verdictRow(await this.#reader.verify(chain, signal));
  }

  /** The last events that arrived up to `newest`, oldest first. */
  async #lastUpTo(filter: AuditFilter, newest: bigint, count: number, signal: AbortSignal): Promise<AuditLogEvent[]> {
    const events: AuditLogEvent[] = [];
    let position: bigint | undefined = newest + 1n;
    for (let looks = 0; looks < MAX_LOOKS && position !== undefined && events.length < count; looks++) {
      signal.throwIfAborted();
      const limit = count - events.length;
      const found = await this.#reader.scan({ filter, order: "newest", position, limit });
      events.push(...found.events.map(auditRow));
      position = found.next;
    }
    return events.toReversed();
  }
}

function sizeOf(field: string, size: number): number {
  if (size > MAX_PAGE) throw invalid([{ field, description: `is at most ${MAX_PAGE}, found ${size}` }]);
  return size;
}

/** Bound to its filter, so that it cannot be carried to another search by mistake. */
function tokenOf(filter: AuditFilter, position: bigint): string {
  return Buffer.from(`${position}.${digestOf(filter)}`).toString("base64url");
}

function positionOf(filter: AuditFilter, token: string, field: string, source: string): bigint {
  const [number = "", digest] = Buffer.from(token.slice(0, 128), "base64url").toString().split(".");
  if (!/^[0-9]{1,16}$/.test(number) || digest !== digestOf(filter))
    throw invalid([{ field, description: `is the ${source} of a message before, of the same filter` }]);
  return BigInt(number);
}

function digestOf(filter: AuditFilter): string {
  return sha256Hex(JSON.stringify(filter)).slice(0, 16);
}

import {
  type AuditFilter,
  type AuditScan,
  type AuditScanResult,
  MAX_SCANNED,
  type StoredAuditEvent,
} from "./audit-log-reader.ts";
import { lineageRefOf } from "../../api/audit-record.ts";
import { isJsonObject } from "../../base/json.ts";
import { columnText } from "./judge-event.ts";

/** Longest tolerance for a clock that was set back: a search by time goes on so far beyond its bound, milliseconds. */
const CLOCK_TOLERANCE_MS = 24 * 3_600_000;

/** The most selective member that has an index of its own in every sink, with its value as it is stored. */
export function scanKey(filter: AuditFilter): readonly ["subject" | "action" | "cluster" | undefined, string] {
  for (const key of ["subject", "action", "cluster"] as const) {
    const value = filter[key];
    if (value !== undefined) return [key, columnText(value)];
  }
  return [undefined, ""];
}

/**
 * Reads one look from rows in the order of the scan, which {@link scanKey} has already narrowed; at most {@link MAX_SCANNED} are
 * given.
 */
export function collectScan(rows: Iterable<StoredAuditEvent>, { filter, order, limit }: AuditScan): AuditScanResult {
  const events: StoredAuditEvent[] = [];
  let last: StoredAuditEvent | undefined;
  let examined = 0;
  for (const row of rows) {
    last = row;
    examined += 1;
    if (matches(row, filter)) events.push(row);
    if (events.length === limit) break;
  }
  const ended = (examined < MAX_SCANNED && events.length < limit) || isBeyond(last, filter, order === "newest");
  return { events, next: ended || last === undefined ? undefined : last.arrival };
}

function matches(event: StoredAuditEvent, filter: AuditFilter): boolean {
  const { since, until } = filter;
  for (const name of ["cluster", "subject", "action", "decision"] as const) {
    const wanted = filter[name];
    if (wanted !== undefined && event[name] !== columnText(wanted)) return false;
  }
  if (filter.lineage !== undefined && lineageText(event) !== filter.lineage) return false;
  return (since === undefined || event.receivedAt >= since) && (until === undefined || event.receivedAt < until);
}

function lineageText({ event }: StoredAuditEvent): string | undefined {
  const fields: unknown = JSON.parse(Buffer.from(event).toString());
  const ref = isJsonObject(fields) ? lineageRefOf(fields) : undefined;
  return ref === undefined ? undefined : `${ref.namespace}/${ref.name}`;
}

/** Arrivals follow the hub's clock but for its jumps: far beyond the bound nothing is to be found. */
function isBeyond(last: StoredAuditEvent | undefined, { since, until }: AuditFilter, back: boolean): boolean {
  if (last === undefined) return true;
  const at = Date.parse(last.receivedAt);
  if (back) return since !== undefined && at < Date.parse(since) - CLOCK_TOLERANCE_MS;
  return until !== undefined && at > Date.parse(until) + CLOCK_TOLERANCE_MS;
}

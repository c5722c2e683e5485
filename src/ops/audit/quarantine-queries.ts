import { type MessageInitShape, create } from "@bufbuild/protobuf";
import type { AuditTrail } from "../../api/audit-record.ts";
import {
  type GetQuarantinedResponse,
  GetQuarantinedResponseSchema,
  type ListQuarantineRequest,
  type ListQuarantineResponse,
  ListQuarantineResponseSchema,
  type QuarantineEntry as EntryMessage,
  QuarantineEntrySchema,
  type QuarantineId,
  type ResolveQuarantinedRequest,
} from "../../api/gen/conductor/fleet/v1alpha1/audit_pb.ts";
import { GrpcStatusError, Status } from "../../api/grpc/status-error.ts";
import { canonicalJson } from "../../base/canonical-json.ts";
import type { JsonObject } from "../../base/json.ts";
import { MAX_SEQUENCE } from "../../federation/audit/audit-chain.ts";
import {
  type AuditQuarantine,
  MAX_QUARANTINED,
  MAX_QUARANTINED_BYTES,
  MAX_QUARANTINE_PAGE,
  type QuarantineEntry,
  type QuarantineKey,
  type QuarantinedEvent,
} from "../../federation/audit/quarantine.ts";
import { member, timestamp } from "../fleet/wire-timestamp.ts";
import { invalid } from "./audit-filter.ts";
import { auditRow } from "./audit-row.ts";

const DEFAULT_PAGE = 100;
/** Shape of a digest in a request: at least so many digits that two events hardly share them. */
const DIGEST = /^[0-9a-f]{12,64}$/;
const CLUSTER = /^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$/;
/** Longest reason, characters. */
const MAX_REASON = 1_000;
/** Most bytes of the event in the record of its resolution, and most of their JSON form. */
const MAX_TOLD_BYTES = 8_000;
const MAX_TOLD_JSON = 12_000;

/** What AuditService answers about events in quarantine. */
export class QuarantineQueries {
  readonly #quarantine: AuditQuarantine;
  readonly #trail: AuditTrail;

  constructor(quarantine: AuditQuarantine, trail: AuditTrail) {
    this.#quarantine = quarantine;
    this.#trail = trail;
  }

  /** @throws GrpcStatusError INVALID_ARGUMENT */
  async list({ cluster, pageSize, pageToken }: ListQuarantineRequest): Promise<ListQuarantineResponse> {
    if (pageSize > MAX_QUARANTINE_PAGE)
      throw invalid([{ field: "page_size", description: `is at most ${MAX_QUARANTINE_PAGE}, found ${pageSize}` }]);
    if (cluster !== "" && !CLUSTER.test(cluster))
      throw invalid([{ field: "cluster", description: "is the id of a cluster, or empty" }]);
    const size = pageSize === 0 ? DEFAULT_PAGE : pageSize;
    const after = pageToken === "" ? undefined : keyOfToken(cluster, pageToken);
    const only = cluster === "" ? undefined : cluster;
    const entries = await this.#quarantine.quarantinePage(only, after, size);
    const last = entries.at(-1);
    return create(ListQuarantineResponseSchema, {
      entries: entries.map(entryRow),
      nextPageToken: last === undefined || entries.length < size ? "" : tokenOf(cluster, last),
      totals: after === undefined ? [...(await this.#quarantine.quarantineTotals(only))] : [],
      maxEntries: BigInt(MAX_QUARANTINED),
      maxBytes: BigInt(MAX_QUARANTINED_BYTES),
    });
  }

  /** @throws GrpcStatusError INVALID_ARGUMENT, NOT_FOUND */
  async get(id: QuarantineId | undefined): Promise<GetQuarantinedResponse> {
    const held = await this.#find(id);
    const { event, hash, prevHash, stored } = held;
    return create(GetQuarantinedResponseSchema, {
      entry: entryRow(held),
      event,
      hash: hex(hash),
      prevHash: hex(prevHash),
      ...member("stored", stored === undefined ? undefined : auditRow(stored)),
    });
  }

  /**
   * Takes an event out of quarantine after the log of the management cluster holds durably who did it, why, and what the event was.
   *
   * @throws GrpcStatusError INVALID_ARGUMENT, NOT_FOUND
   */
  async resolve({ id, reason }: ResolveQuarantinedRequest, resolvedBy: string): Promise<EntryMessage> {
    const why = reason.trim();
    if (why === "" || why.length > MAX_REASON)
      throw invalid([{ field: "reason", description: `says what was found, in 1 to ${MAX_REASON} characters` }]);
    const held = await this.#find(id);
    const { cluster, epoch, sequence, digest, code, bytes, hash, prevHash, event } = held;
    await this.#trail.record({
      action: "audit.quarantine_resolved",
      decision: "admit",
      subject: resolvedBy,
      resource: idText(held),
      code,
      details: {
        cluster,
        epoch: String(epoch),
        sequence: String(sequence),
        digest: hex(digest),
        hash: hex(hash),
        prevHash: hex(prevHash),
        bytes,
        reason: why,
        ...toldEvent(event),
      },
    });
    if (!(await this.#quarantine.release(held))) throw notFound(idText(held));
    return entryRow(held);
  }

  async #find(id: QuarantineId | undefined): Promise<QuarantinedEvent> {
    const { cluster = "", epoch = 0n, sequence = 0n, digest = "" } = id ?? {};
    const violations = [];
    if (!CLUSTER.test(cluster)) violations.push({ field: "id.cluster", description: "is the id of a cluster" });
    if (epoch > MAX_SEQUENCE) violations.push({ field: "id.epoch", description: `is at most ${MAX_SEQUENCE}` });
    if (sequence > MAX_SEQUENCE) violations.push({ field: "id.sequence", description: `is at most ${MAX_SEQUENCE}` });
    if (!DIGEST.test(digest))
      violations.push({ field: "id.digest", description: "has 12 to 64 lower-case hexadecimal digits" });
    if (violations.length > 0) throw invalid(violations);
    const found: QuarantineEntry[] = [];
    let after: QuarantineKey | undefined = { cluster, epoch, sequence, digest: new Uint8Array() };
    while (after !== undefined) {
      const page: readonly QuarantineEntry[] = await this.#quarantine.quarantinePage(
        cluster,
        after,
        MAX_QUARANTINE_PAGE,
      );
      const same = page.filter((entry) => entry.epoch === epoch && entry.sequence === sequence);
      found.push(...same.filter((entry) => hex(entry.digest).startsWith(digest)));
      after = same.length === MAX_QUARANTINE_PAGE ? same.at(-1) : undefined;
    }
    const [first, second] = found;
    const text = `${cluster}/${epoch}/${sequence}/${digest}`;
    if (second !== undefined)
      throw invalid([{ field: "id.digest", description: "names one event: several begin so, give more digits" }]);
    const held = first === undefined ? undefined : await this.#quarantine.quarantinedEvent(first);
    if (held === undefined) throw notFound(text);
    return held;
  }
}

function notFound(id: string): GrpcStatusError {
  return new GrpcStatusError(Status.NOT_FOUND, {
    reason: "NotInQuarantine",
    object: `event ${id}`,
    expected: "in quarantine, found no such event there",
    remedy:
      "list it with seamctl audit quarantine list; who resolved it stands in the log (action audit.quarantine_resolved)",
  });
}

/** Bounded, and readable when it is text. */
function toldEvent(event: Uint8Array): JsonObject {
  const head = Buffer.from(event.subarray(0, MAX_TOLD_BYTES));
  const clipped = head.length < event.length ? { eventClipped: true } : {};
  const text = head.toString("utf8");
  if (Buffer.from(text).equals(head) && Buffer.byteLength(canonicalJson(text)) <= MAX_TOLD_JSON)
    return { event: text, ...clipped };
  return { eventBase64: head.toString("base64"), ...clipped };
}

function entryRow(entry: QuarantineEntry): EntryMessage {
  const { cluster, epoch, sequence, digest, code, receivedAt, bytes } = entry;
  const fields: MessageInitShape<typeof QuarantineEntrySchema> = {
    id: { cluster, epoch, sequence, digest: hex(digest) },
    code,
    bytes: BigInt(bytes),
    ...member("receivedAt", timestamp(receivedAt)),
  };
  return create(QuarantineEntrySchema, fields);
}

function idText({ cluster, epoch, sequence, digest }: QuarantineKey): string {
  return `${cluster}/${epoch}/${sequence}/${hex(digest).slice(0, 12)}`;
}

/** Bound to the cluster of its list, so that it cannot be carried to another by mistake. */
function tokenOf(only: string, { cluster, epoch, sequence, digest }: QuarantineKey): string {
  return Buffer.from(`${only}|${cluster}/${epoch}/${sequence}/${hex(digest)}`).toString("base64url");
}

const TOKEN = /^([a-z0-9-]*)\|([a-z0-9-]{1,40})\/([0-9]{1,16})\/([0-9]{1,16})\/([0-9a-f]{64})$/;

function keyOfToken(only: string, token: string): QuarantineKey {
  const match = TOKEN.exec(Buffer.from(token.slice(0, 512), "base64url").toString());
  if (match === null || match[1] !== only)
    throw invalid([
      { field: "page_token", description: "is the next_page_token of a page before, of the same cluster" },
    ]);
  const [, , cluster = "", epoch = "", sequence = "", digest = ""] = match;
  return { cluster, epoch: BigInt(epoch), sequence: BigInt(sequence), digest: Buffer.from(digest, "hex") };
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

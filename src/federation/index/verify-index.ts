import { type Digest, digestOf } from "../../base/digest.ts";
import {
  type EnvelopeFailure,
  type KeyLookup,
  PAYLOAD_TYPES,
  type SignedEnvelope,
  verifyEnvelope,
} from "../../trust/dsse.ts";
import { type IndexDocument, type IndexItem, MAX_INDEX_BYTES, itemKey } from "./index-document.ts";
import { forEachPair } from "./item-pairs.ts";
import { type ParsedIndex, parseIndex } from "./parse-index.ts";
import { sameItem } from "./diff-index.ts";

/** How far ahead of the agent's clock an index may have been issued, milliseconds. */
export const MAX_CLOCK_SKEW_MS = 5 * 60_000;

/** Why an index was refused, in the order in which the rules are checked. */
export type IndexFailure =
  | "TOO_LARGE"
  | EnvelopeFailure
  | "WRONG_CLUSTER"
  | "ROLLBACK_REJECTED"
  | "EQUIVOCATION"
  | "CLOCK_SKEW"
  | "EXPIRED"
  | "DROPPED_WITHOUT_TOMBSTONE"
  | "ITEM_ROLLBACK";

/** Highest position ever trusted; stored with the index it came from, so both move together. */
export interface IndexFloors {
  readonly epoch: number;
  readonly sequence: number;
  readonly digest: Digest;
}

/** Input of {@link verifyIndex}. */
export interface IndexOfferInput {
  /** The signed body as received, or as rebuilt from a diff. */
  readonly offer: SignedEnvelope;
  /** What `offer.body` is the canonical encoding of, when this side put it together itself; otherwise it is parsed. */
  readonly rebuilt?: IndexDocument;
  /** The index in force. */
  readonly held: IndexDocument | undefined;
  /** Cluster id of this agent, from its certificate. */
  readonly cluster: string;
  readonly keys: KeyLookup;
  readonly floors: IndexFloors | undefined;
  /** Wall clock, Unix milliseconds. */
  readonly nowMs: number;
}

/** Outcome of {@link verifyIndex}. */
export type IndexVerdict =
  | {
      readonly ok: true;
      /** `unchanged`: exactly the index in force, nothing to do. */
      readonly outcome: "accepted" | "unchanged";
      readonly document: IndexDocument;
      readonly digest: Digest;
    }
  | {
      readonly ok: false;
      readonly code: IndexFailure;
      /** For people. */
      readonly detail: string;
      /** True when time or a key delivery can cure it; the same bytes may then be offered again. */
      readonly retryable: boolean;
    };

/**
 * Verifies an index in a fixed order: size, envelope, signature, format, cluster, floors, clock, expiry, drops, items. Nothing is
 * parsed before a trusted key vouched for its bytes. Never throws.
 */
export function verifyIndex(input: IndexOfferInput): IndexVerdict {
  const { offer, held, cluster, keys, floors, nowMs } = input;
  if (offer.body.length > MAX_INDEX_BYTES)
    return refused("TOO_LARGE", `${offer.body.length} bytes; an index has at most ${MAX_INDEX_BYTES}`);
  const envelope = verifyEnvelope(offer, PAYLOAD_TYPES.index, keys);
  if (!envelope.ok) return refused(envelope.code, `index envelope: ${envelope.code}`);
  const parsed: ParsedIndex =
    input.rebuilt === undefined ? parseIndex(offer.body) : { ok: true, document: input.rebuilt };
  if (!parsed.ok) return refused("MALFORMED", `index ${parsed.field}: expected ${parsed.expected}`);
  const document = parsed.document;
  if (!offer.signatures.some(({ keyId }) => keyId === document.keyId))
    return refused("MALFORMED", `index keyId ${document.keyId} is not among its signatures`);
  if (document.cluster !== cluster)
    return refused("WRONG_CLUSTER", `index is for ${document.cluster}, this cluster is ${cluster}`);

  const digest = digestOf(offer.body);
  if (floors !== undefined) {
    const order = document.epoch - floors.epoch || document.sequence - floors.sequence;
    if (order < 0)
      return refused(
        "ROLLBACK_REJECTED",
        `index is ${document.epoch}/${document.sequence}, already trusted ${floors.epoch}/${floors.sequence}`,
      );
    if (order === 0 && digest !== floors.digest)
      return refused("EQUIVOCATION", `two indexes claim ${document.epoch}/${document.sequence}`);
    if (order === 0 && held !== undefined) return { ok: true, outcome: "unchanged", document, digest };
  }
  if (Date.parse(document.issuedAt) > nowMs + MAX_CLOCK_SKEW_MS)
    return refused("CLOCK_SKEW", `issued ${document.issuedAt}, more than ${MAX_CLOCK_SKEW_MS} ms ahead of this clock`);
  if (Date.parse(document.expiresAt) <= nowMs) return refused("EXPIRED", `expired ${document.expiresAt}`);
  if (held !== undefined) {
    const failure = compareWithHeld(held, document);
    if (failure !== undefined) return failure;
  }
  return { ok: true, outcome: "accepted", document, digest };
}

function compareWithHeld(held: IndexDocument, next: IndexDocument): IndexVerdict | undefined {
  let failure: IndexVerdict | undefined;
  forEachPair(held.items, next.items, (item, successor) => {
    if (item !== undefined) failure ??= compareItem(item, successor, held.epoch === next.epoch);
  });
  if (failure !== undefined) return failure;
  const floors = new Map<string, number>();
  for (const { target, name, floor } of next.revocations) floors.set(`${target}/${name}`, floor);
  for (const floor of held.revocations) {
    if ((floors.get(`${floor.target}/${floor.name}`) ?? floor.floor) < floor.floor)
      return refused("ITEM_ROLLBACK", `revocation floor of ${floor.target}/${floor.name} goes down`);
  }
  return undefined;
}

function compareItem(item: IndexItem, successor: IndexItem | undefined, sameEpoch: boolean): IndexVerdict | undefined {
  if (successor === undefined) {
    if (item.deleted === true) return undefined;
    return refused("DROPPED_WITHOUT_TOMBSTONE", `${itemKey(item)} left the index without a tombstone`);
  }
  // Versions are sequences of their own epoch.
  if (!sameEpoch || sameItem(item, successor)) return undefined;
  const key = itemKey(item);
  if (successor.version < item.version)
    return refused("ITEM_ROLLBACK", `${key} goes from version ${item.version} back to ${successor.version}`);
  if (successor.version === item.version) return refused("ITEM_ROLLBACK", `${key} changed without a new version`);
  return undefined;
}

const RETRYABLE: ReadonlySet<IndexFailure> = new Set(["KEYS_MISSING", "UNKNOWN_KEY", "CLOCK_SKEW", "EXPIRED"]);

function refused(code: IndexFailure, detail: string): IndexVerdict {
  return { ok: false, code, detail, retryable: RETRYABLE.has(code) };
}

import type { Digest } from "../../../base/digest.ts";
import type { DesiredIndex } from "../../hub/ports.ts";
import { type IndexItem, itemKey } from "../../index/index-document.ts";
import { forEachBody, namedBodies, planIndex } from "../../index/plan-index.ts";
import type { RangeDigests } from "../../index/range-digest.ts";
import { MAX_REPLACED_RANGES } from "../../index/replace-ranges.ts";
import type { Lane } from "../lane.ts";
import { FRAME_OVERHEAD_BYTES, INLINE_BLOB_BYTES, INLINE_TOTAL_BYTES, MAX_FRAME_BYTES } from "../limits.ts";
import type { HeldIndex, QuarantinedItem } from "./agent-claims.ts";
import type { OfferPlan } from "./offer.ts";

/** Share of a frame for an index body or diff that is not sent by reference, bytes. */
export const OFFER_BODY_BYTES = MAX_FRAME_BYTES - INLINE_TOTAL_BYTES - 2 * FRAME_OVERHEAD_BYTES;
/** Estimate of a diff's header without revocations, bytes. */
const HEADER_BYTES = 640;
/** Estimate of one revocation in a header, besides its name, bytes. */
const REVOCATION_BYTES = 96;
/** Estimate of one item in a diff besides its name and refs, bytes. */
const ITEM_BYTES = 192;
/** Estimate of one ref, bytes. */
const REF_BYTES = 104;

/** What an offer is planned from. */
export interface OfferInput {
  readonly desired: DesiredIndex;
  /** What the agent holds, by its own word. */
  readonly held: HeldIndex | undefined;
  /** The document the agent holds, when the hub has it and may build on it. */
  readonly base: DesiredIndex | undefined;
  /** Where the two differ, when that was found by range digests. */
  readonly differs: { readonly paths: readonly Uint8Array[]; readonly ranges: RangeDigests } | undefined;
  readonly quarantine: ReadonlyMap<string, QuarantinedItem>;
  /** Largest index body or diff in one frame, bytes. */
  readonly bodyBytes: number;
}

/** An offer with what its writer needs to know. */
export interface PlannedOffer {
  readonly plan: OfferPlan;
  /** One that brings a tombstone goes ahead. */
  readonly lane: Lane;
  /** What it counts in the budget: an upper estimate. */
  readonly bytes: number;
}

/** The smallest form that says everything: diff, ranges, full, or by reference. */
export function planOffer(input: OfferInput): PlannedOffer {
  const { desired, held, base, differs, quarantine, bodyBytes } = input;
  const changed = base === undefined ? changedSince(held, desired) : changedItems(base, desired);
  const { inline, inlineBytes } = inlineBodies(changed, base, quarantine);
  const size = desired.envelope.body.length;
  const fits = (bytes: number): boolean => bytes < size && bytes <= bodyBytes;
  const planned = (plan: OfferPlan, items: readonly IndexItem[], bytes: number): PlannedOffer => ({
    plan,
    lane: items.some((item) => item.deleted === true) ? "delete" : "update",
    bytes: FRAME_OVERHEAD_BYTES + inlineBytes + bytes,
  });
  if (base !== undefined) {
    const bytes = diffBytes(desired, changed);
    if (fits(bytes)) return planned({ form: "diff", desired, base, ranges: undefined, inline }, changed, bytes);
  }
  if (held !== undefined && differs !== undefined && differs.paths.length <= MAX_REPLACED_RANGES) {
    const { paths, ranges } = differs;
    const items = paths.flatMap((path) => ranges.items(path));
    const bytes = diffBytes(desired, items);
    if (fits(bytes)) {
      const replaced = { baseDigest: held.digest, paths, digests: ranges };
      return planned({ form: "ranges", desired, base: undefined, ranges: replaced, inline }, items, bytes);
    }
  }
  // The whole of an index is of the update lane, whatever it brings.
  const whole = { desired, base: undefined, ranges: undefined, inline };
  if (size <= bodyBytes) return planned({ form: "full", ...whole }, [], size);
  return planned({ form: "reference", ...whole }, [], 0);
}

/** The agent holds exactly this. */
export function unchangedOffer(desired: DesiredIndex): PlannedOffer {
  const plan: OfferPlan = { form: "unchanged", desired, base: undefined, ranges: undefined, inline: [] };
  return { plan, lane: "update", bytes: FRAME_OVERHEAD_BYTES / 16 };
}

/** Item versions are the sequences of their index, so what is newer than the held position changed since. */
function changedSince(held: HeldIndex | undefined, desired: DesiredIndex): readonly IndexItem[] {
  const since = held?.epoch === desired.document.epoch ? held.sequence : 0;
  return desired.document.items.filter((item) => item.version > since);
}

function changedItems(base: DesiredIndex, desired: DesiredIndex): readonly IndexItem[] {
  const plan = planIndex(base.document, desired.document);
  return plan.tombstones.length === 0 ? plan.changed : [...plan.tombstones, ...plan.changed];
}

/** Small bodies of what changed, without those that the agent has from the index it holds. */
function inlineBodies(
  changed: readonly IndexItem[],
  base: DesiredIndex | undefined,
  quarantine: ReadonlyMap<string, QuarantinedItem>,
): { readonly inline: readonly Digest[]; readonly inlineBytes: number } {
  const held = base === undefined || changed.length === 0 ? undefined : namedBodies(base.document);
  const inline = new Set<Digest>();
  let bytes = 0;
  for (const item of changed) {
    if (quarantine.get(itemKey(item))?.digest === item.digest) continue;
    forEachBody(item, (digest, size) => {
      if (size > INLINE_BLOB_BYTES || bytes + size > INLINE_TOTAL_BYTES || inline.has(digest)) return;
      if (held?.has(digest) === true) return;
      inline.add(digest);
      bytes += size;
    });
  }
  return { inline: [...inline], inlineBytes: bytes };
}

function diffBytes(desired: DesiredIndex, changed: readonly IndexItem[]): number {
  let bytes = HEADER_BYTES;
  for (const revocation of desired.document.revocations) bytes += REVOCATION_BYTES + revocation.name.length;
  for (const item of changed) bytes += ITEM_BYTES + item.name.length + (item.refs?.length ?? 0) * REF_BYTES;
  return bytes;
}

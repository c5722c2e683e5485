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

/** The smallest form that says everything: diff, ranges, full, or by reference. */
export function planOffer(input: OfferInput): OfferPlan {
  const { desired, held, base, differs, quarantine, bodyBytes } = input;
  const changed = base === undefined ? changedSince(held, desired) : changedItems(base, desired);
  const inline = inlineBodies(changed, base, quarantine);
  const size = desired.envelope.body.length;
  const fits = (bytes: number): boolean => bytes < size && bytes <= bodyBytes;
  if (base !== undefined && fits(diffBytes(desired, changed)))
    return { form: "diff", desired, base, ranges: undefined, inline };
  if (held !== undefined && differs !== undefined && differs.paths.length <= MAX_REPLACED_RANGES) {
    const { paths, ranges } = differs;
    const items = paths.flatMap((path) => ranges.items(path));
    if (fits(diffBytes(desired, items))) {
      const replaced = { baseDigest: held.digest, paths, digests: ranges };
      return { form: "ranges", desired, base: undefined, ranges: replaced, inline };
    }
  }
  return { form: size <= bodyBytes ? "full" : "reference", desired, base: undefined, ranges: undefined, inline };
}

/** The agent holds exactly this. */
export function unchangedOffer(desired: DesiredIndex): OfferPlan {
  return { form: "unchanged", desired, base: undefined, ranges: undefined, inline: [] };
}

/** The lane of an offer: one that brings a tombstone goes ahead. */
export function laneOf({ form, base, desired, ranges }: OfferPlan): Lane {
  if (form === "diff" && base !== undefined)
    return planIndex(base.document, desired.document).tombstones.length > 0 ? "delete" : "update";
  const deletes = ranges?.paths.some((path) => ranges.digests.items(path).some((item) => item.deleted === true));
  return deletes === true ? "delete" : "update";
}

/** What an offer counts in the budget: an upper estimate. */
export function offerBytes(plan: OfferPlan): number {
  const { form, desired, base, ranges } = plan;
  if (form === "unchanged") return FRAME_OVERHEAD_BYTES / 16;
  const sizes = namedBodies(desired.document);
  let bytes = FRAME_OVERHEAD_BYTES;
  for (const digest of plan.inline) bytes += sizes.get(digest) ?? 0;
  if (form === "full") bytes += desired.envelope.body.length;
  if (form === "diff" && base !== undefined) bytes += diffBytes(desired, changedItems(base, desired));
  if (form === "ranges" && ranges !== undefined)
    bytes += diffBytes(
      desired,
      ranges.paths.flatMap((path) => ranges.digests.items(path)),
    );
  return bytes;
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
): Digest[] {
  const held = base === undefined ? undefined : namedBodies(base.document);
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
  return [...inline];
}

function diffBytes(desired: DesiredIndex, changed: readonly IndexItem[]): number {
  let bytes = HEADER_BYTES;
  for (const revocation of desired.document.revocations) bytes += REVOCATION_BYTES + revocation.name.length;
  for (const item of changed) bytes += ITEM_BYTES + item.name.length + (item.refs?.length ?? 0) * REF_BYTES;
  return bytes;
}

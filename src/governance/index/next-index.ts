import { rfc3339 } from "../../base/clock.ts";
import {
  type IndexDocument,
  type IndexItem,
  type IndexRevocation,
  itemKey,
} from "../../federation/index/index-document.ts";
import { compareItems, compareRevocations } from "../../federation/index/index-order.ts";
import type { DesiredItem } from "./desired-items.ts";

/** How long an index is valid (architecture §2.2: freeze protection). */
export const INDEX_VALIDITY_MS = 24 * 3_600_000;
/** An index is renewed at half its validity. */
export const INDEX_RENEWAL_MS = INDEX_VALIDITY_MS / 2;
/** A tombstone stays at least this long after it first stood in the index: an agent set up anew from a backup of that day still meets it. */
export const TOMBSTONE_MIN_MS = 24 * 3_600_000;

/** Where the numbering stands, and since when tombstones do; lasting. */
export interface IndexPosition {
  readonly epoch: number;
  readonly sequence: number;
  /** Item key to Unix milliseconds at which the tombstone first stood in an index. */
  readonly tombstones: Readonly<Record<string, number>>;
}

/** Everything the next index depends on. */
export interface IndexInputs {
  readonly cluster: string;
  /** The verified current index; undefined when there is none that can be trusted. */
  readonly previous: IndexDocument | undefined;
  readonly position: IndexPosition;
  readonly desired: readonly DesiredItem[];
  /** Floors to add; floors that stood in the index stay and only rise. */
  readonly revocations: readonly IndexRevocation[];
  /** True when the tenant's last word on an item is that exactly this tombstone is done. */
  readonly acknowledged: (tombstone: IndexItem) => boolean;
  /** Full id of the active signing key. */
  readonly keyId: string;
  /** Wall clock, Unix milliseconds. */
  readonly nowMs: number;
}

/** What to do. */
export type NextIndex =
  | { readonly action: "keep"; readonly renewInMs: number }
  | {
      readonly action: "sign";
      readonly document: IndexDocument;
      readonly position: IndexPosition;
      /** Secrets of tombstones that left the index. */
      readonly retired: readonly string[];
    };

/**
 * The next index of a tenant. Pure. An item keeps its version while its digest stays; an item whose Secret vanished stays as it is,
 * since absence never removes anything, except corrections, which end by a tombstone without body; tombstones leave once
 * acknowledged and old enough. One that is not acknowledged stays for as long as there is the tenant: an agent that was away for months
 * would refuse an index from which an item that it holds left without one.
 */
export function nextIndex(inputs: IndexInputs): NextIndex {
  const { previous, position, nowMs, keyId, cluster } = inputs;
  const sequence = Math.max(position.sequence, previous?.sequence ?? 0) + 1;
  const held = new Map((previous?.items ?? []).map((item) => [itemKey(item), item]));
  const wanted = newest(inputs.desired);
  const tombstones: Record<string, number> = {};
  const retired: string[] = [];
  const items: IndexItem[] = [];

  const place = (item: Omit<IndexItem, "version">, secret: string | undefined): void => {
    const key = itemKey(item);
    const old = held.get(key);
    const version = old !== undefined && sameItem(old, item) ? old.version : sequence;
    const placed = strip({ ...item, version });
    if (item.deleted === true) {
      const since = position.tombstones[key] ?? nowMs;
      if (nowMs - since >= TOMBSTONE_MIN_MS && inputs.acknowledged(placed)) {
        if (secret !== undefined) retired.push(secret);
        return;
      }
      tombstones[key] = since;
    }
    items.push(placed);
  };

  for (const item of wanted.values()) place(item, item.secret);
  for (const [key, old] of held) {
    if (wanted.has(key)) continue;
    if (old.kind === "Correction" && old.deleted !== true)
      place({ kind: old.kind, name: old.name, digest: "", size: 0, deleted: true }, undefined);
    else place(old, undefined);
  }
  items.sort(compareItems);
  const revocations = mergeRevocations(previous?.revocations ?? [], inputs.revocations);

  const unchanged =
    previous !== undefined &&
    previous.keyId === keyId &&
    JSON.stringify(previous.items) === JSON.stringify(items) &&
    JSON.stringify(previous.revocations) === JSON.stringify(revocations);
  const renewInMs = unchanged ? Date.parse(previous.issuedAt) + INDEX_RENEWAL_MS - nowMs : 0;
  // A wall clock that jumped back must not leave an index of the future in force for ever: that too is a reason to renew.
  if (unchanged && renewInMs > 0 && renewInMs <= INDEX_RENEWAL_MS) return { action: "keep", renewInMs };
  return {
    action: "sign",
    document: {
      _type: "FederationIndex/v1",
      cluster,
      epoch: position.epoch,
      sequence,
      issuedAt: rfc3339(nowMs),
      expiresAt: rfc3339(nowMs + INDEX_VALIDITY_MS),
      keyId,
      items,
      revocations,
    },
    position: { epoch: position.epoch, sequence, tombstones },
    retired,
  };
}

/** Where two Secrets speak of one item, the one with the higher ordering value counts. */
function newest(desired: readonly DesiredItem[]): ReadonlyMap<string, DesiredItem> {
  const byKey = new Map<string, DesiredItem>();
  for (const item of desired) {
    const other = byKey.get(itemKey(item));
    if (other === undefined || other.order < item.order) byKey.set(itemKey(item), item);
  }
  return byKey;
}

function sameItem(a: IndexItem, b: Omit<IndexItem, "version">): boolean {
  return (
    a.digest === b.digest &&
    a.size === b.size &&
    (a.deleted ?? false) === (b.deleted ?? false) &&
    JSON.stringify(a.refs ?? []) === JSON.stringify(b.refs ?? [])
  );
}

/** Exactly the members of an item, in one order, so that equal items have equal text. */
function strip(item: IndexItem): IndexItem {
  const { kind, name, version, digest, size, deleted, refs } = item;
  return {
    kind,
    name,
    version,
    digest,
    size,
    ...(deleted === undefined ? {} : { deleted }),
    ...(refs === undefined || refs.length === 0
      ? {}
      : { refs: refs.map(({ digest: refDigest, size: refSize }) => ({ digest: refDigest, size: refSize })) }),
  };
}

/** Floors only rise, and outlive their messages. */
function mergeRevocations(
  old: readonly IndexRevocation[],
  added: readonly IndexRevocation[],
): readonly IndexRevocation[] {
  const byKey = new Map<string, IndexRevocation>();
  for (const { target, name, floor, serial } of [...old, ...added]) {
    const key = `${target}/${name}`;
    const other = byKey.get(key);
    if (other === undefined || other.floor < floor) byKey.set(key, { target, name, floor, serial });
  }
  return [...byKey.values()].toSorted(compareRevocations);
}

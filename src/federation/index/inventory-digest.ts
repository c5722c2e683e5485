import { type Digest, digestOf } from "../../base/digest.ts";
import { compareText } from "./index-order.ts";

/** What an agent holds of one item, for Hello.inventory_digest. */
export interface InventoryEntry {
  readonly kind: string;
  readonly name: string;
  readonly version: number;
  readonly digest: string;
  /** Level as on the wire, 0 to 4. */
  readonly level: number;
  /** Reason of the standing nack; empty when there is none. */
  readonly reason: string;
}

/**
 * Digest over the sorted entries, one line each with fields separated by NUL. Equal digests mean that the hub's record of item
 * levels is what the agent would report.
 */
export function inventoryDigest(entries: Iterable<InventoryEntry>): Digest {
  const sorted = [...entries].sort((a, b) => compareText(a.kind, b.kind) || compareText(a.name, b.name));
  let lines = "";
  for (const entry of sorted)
    lines += `${entry.kind}\0${entry.name}\0${entry.version}\0${entry.digest}\0${entry.level}\0${entry.reason}\n`;
  return digestOf(lines);
}

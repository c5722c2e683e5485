import { type Digest, digestOf } from "../../base/digest.ts";
import { inItemOrder } from "./item-pairs.ts";

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
export function inventoryDigest(entries: readonly InventoryEntry[]): Digest {
  let lines = "";
  for (const { kind, name, version, digest, level, reason } of inItemOrder(entries))
    lines += `${kind}\0${name}\0${version}\0${digest}\0${level}\0${reason}\n`;
  return digestOf(lines);
}

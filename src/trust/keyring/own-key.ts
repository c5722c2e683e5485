import type { KeyLookup, OwnSigner } from "../dsse.ts";

/**
 * A ring with the key that this process signs with. What it signed itself is never foreign to it, even while that key is missing among
 * the trusted ones: otherwise it would take its own work for forged, and replace it for ever.
 */
export function trustingOwnKey(ring: KeyLookup, { keyId, publicKey }: OwnSigner): KeyLookup {
  return {
    key: (id) => ring.key(id) ?? (id === keyId ? publicKey : undefined),
    empty: false,
  };
}

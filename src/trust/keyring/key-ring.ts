import type { KeyObject } from "node:crypto";
import { SeamError } from "../../base/errors.ts";
import { type KeyLookup, keyIdOf, shortKeyId } from "../dsse.ts";

/** Most public keys of one ring: current, next and the previous ones until they are retired. */
export const MAX_RING_KEYS = 16;

const SHORT_KEY_ID_LENGTH = 16;

/**
 * The trusted public keys of a verifier. Immutable content behind one reference: a reload swaps the whole set, so a verification
 * sees the old ring or the new one and never half of each.
 */
export class KeyRing implements KeyLookup {
  #keys: ReadonlyMap<string, KeyObject>;

  /** @throws SeamError `KeyRingTooLarge` */
  constructor(keys: Iterable<KeyObject> = []) {
    this.#keys = index(keys);
  }

  /** Finds by full id, or by the short form that status and annotations carry: the key decides, not its name. */
  key(keyId: string): KeyObject | undefined {
    const exact = this.#keys.get(keyId);
    if (exact !== undefined || keyId.length !== SHORT_KEY_ID_LENGTH) return exact;
    for (const [id, key] of this.#keys) if (shortKeyId(id) === keyId) return key;
    return undefined;
  }

  get empty(): boolean {
    return this.#keys.size === 0;
  }

  /** Full key ids, ascending; what an agent says it trusts in Hello. */
  get keyIds(): readonly string[] {
    return [...this.#keys.keys()].sort();
  }

  /** Replaces all keys. @throws SeamError `KeyRingTooLarge`, and the ring stays as it was */
  replace(keys: Iterable<KeyObject>): void {
    this.#keys = index(keys);
  }
}

function index(keys: Iterable<KeyObject>): ReadonlyMap<string, KeyObject> {
  const byId = new Map<string, KeyObject>();
  for (const key of keys) {
    byId.set(keyIdOf(key), key);
    if (byId.size > MAX_RING_KEYS)
      throw new SeamError({
        reason: "KeyRingTooLarge",
        object: "key ring",
        expected: `at most ${MAX_RING_KEYS} public keys`,
        remedy: "remove retired keys",
      });
  }
  return byId;
}

import { describe, expect, it } from "vitest";
import { testKey } from "../../../test/oracle/signed-snapshots.ts";
import { PAYLOAD_TYPES, signEnvelope, verifyEnvelope } from "../dsse.ts";
import { KeyRing } from "./key-ring.ts";
import { trustingOwnKey } from "./own-key.ts";

describe("trustingOwnKey", () => {
  const [own, other, stranger] = [testKey(), testKey(), testKey()];
  const signed = (key: typeof own) => signEnvelope(PAYLOAD_TYPES.index, Buffer.from("{}"), key.signer);
  const verdict = (ring: KeyRing, key: typeof own) =>
    verifyEnvelope(signed(key), PAYLOAD_TYPES.index, trustingOwnKey(ring, own.signer));

  it("verifies what this process signed while its key is missing among the trusted ones, and nothing else of strangers", () => {
    const ring = new KeyRing([other.publicKey]);
    expect(verdict(ring, own)).toMatchObject({ ok: true });
    expect(verdict(ring, other)).toMatchObject({ ok: true });
    expect(verdict(ring, stranger)).toMatchObject({ ok: false, code: "UNKNOWN_KEY" });
  });

  it("follows the ring when it is replaced", () => {
    const ring = new KeyRing([other.publicKey]);
    ring.replace([]);
    expect(verdict(ring, own)).toMatchObject({ ok: true });
    expect(verdict(ring, other)).toMatchObject({ ok: false, code: "UNKNOWN_KEY" });
  });
});

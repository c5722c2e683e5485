import { createHash, createPrivateKey, createPublicKey } from "node:crypto";
import nacl from "tweetnacl";
import { describe, expect, it } from "vitest";
import {
  MAX_SIGNATURES,
  PAYLOAD_TYPES,
  type SignedEnvelope,
  decodeEnvelope,
  ed25519Signer,
  encodeEnvelope,
  keyIdOf,
  preAuthenticationEncoding,
  signEnvelope,
  verifyEnvelope,
} from "./dsse.ts";
import { KeyRing } from "./keyring/key-ring.ts";

/** Ed25519 keys from a 32-byte seed, in DER as RFC 8410 writes them. */
function keysOf(seed: Uint8Array): { signer: ReturnType<typeof ed25519Signer>; ring: KeyRing; nacl: nacl.SignKeyPair } {
  const der = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), seed]);
  const privateKey = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
  return {
    signer: ed25519Signer(privateKey),
    ring: new KeyRing([createPublicKey(privateKey)]),
    nacl: nacl.sign.keyPair.fromSeed(seed),
  };
}

const seed = Uint8Array.from({ length: 32 }, (_, i) => i);
const keys = keysOf(seed);
const body = Buffer.from('{"a":1}');
const signed = (): SignedEnvelope => signEnvelope(PAYLOAD_TYPES.index, body, keys.signer);

describe("Ed25519 against an independent implementation", () => {
  it("signs what tweetnacl verifies, byte for byte what tweetnacl signs", () => {
    for (let length = 0; length < 40; length += 13) {
      const message = nacl.randomBytes(length);
      const signature = keys.signer.sign(message);
      expect(nacl.sign.detached.verify(message, signature, keys.nacl.publicKey)).toBe(true);
      expect(Buffer.from(signature)).toEqual(Buffer.from(nacl.sign.detached(message, keys.nacl.secretKey)));
    }
  });

  it("verifies what tweetnacl signed over the pre-authentication encoding", () => {
    const message = preAuthenticationEncoding(PAYLOAD_TYPES.index, body);
    const signature = nacl.sign.detached(message, keys.nacl.secretKey);
    const envelope = { payloadType: PAYLOAD_TYPES.index, body, signatures: [{ keyId: keys.signer.keyId, signature }] };
    expect(verifyEnvelope(envelope, PAYLOAD_TYPES.index, keys.ring)).toEqual({ ok: true, keyId: keys.signer.keyId });
  });

  it("passes RFC 8032 §7.1 test 2", () => {
    const rfc = keysOf(Buffer.from("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb", "hex"));
    expect(Buffer.from(rfc.nacl.publicKey).toString("hex")).toBe(
      "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
    );
    expect(Buffer.from(rfc.signer.sign(Buffer.from("72", "hex"))).toString("hex")).toBe(
      "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da" +
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    );
  });

  it("refuses the malleable twin of a signature (S + L)", () => {
    const envelope = signed();
    const signature = Uint8Array.from(envelope.signatures[0]?.signature ?? []);
    const order = 2n ** 252n + 27742317777372353535851937790883648493n;
    let s = 0n;
    for (let i = 63; i >= 32; i--) s = (s << 8n) | BigInt(signature[i] ?? 0);
    s += order;
    for (let i = 32; i < 64; i++, s >>= 8n) signature[i] = Number(s & 255n);
    const twin = { ...envelope, signatures: [{ keyId: keys.signer.keyId, signature }] };
    expect(verifyEnvelope(twin, PAYLOAD_TYPES.index, keys.ring)).toEqual({ ok: false, code: "SIGNATURE_INVALID" });
  });
});

describe("DSSE", () => {
  it("encodes as the DSSE protocol's example", () => {
    const encoded = preAuthenticationEncoding("http://example.com/HelloWorld", Buffer.from("hello world"));
    expect(Buffer.from(encoded).toString()).toBe("DSSEv1 29 http://example.com/HelloWorld 11 hello world");
  });

  it("names each refusal", () => {
    const good = signed();
    const other = keysOf(Uint8Array.from({ length: 32 }, () => 9));
    const verdict = (envelope: SignedEnvelope, ring = keys.ring): string => {
      const outcome = verifyEnvelope(envelope, PAYLOAD_TYPES.index, ring);
      return outcome.ok ? "ok" : outcome.code;
    };
    expect(verdict(good)).toBe("ok");
    expect(verdict(good, new KeyRing())).toBe("KEYS_MISSING");
    expect(verdict(good, other.ring)).toBe("UNKNOWN_KEY");
    expect(verdict({ ...good, body: Buffer.from('{"a":2}') })).toBe("SIGNATURE_INVALID");
    expect(verdict({ ...good, signatures: [] })).toBe("UNSIGNED");
    expect(verdict(signEnvelope(PAYLOAD_TYPES.tombstone, body, keys.signer))).toBe("MALFORMED");
    // Relabelled for another plane: the type is inside what was signed.
    expect(
      verdict({ ...signEnvelope(PAYLOAD_TYPES.tombstone, body, keys.signer), payloadType: PAYLOAD_TYPES.index }),
    ).toBe("SIGNATURE_INVALID");
    const endless = Array.from({ length: MAX_SIGNATURES + 1 }, () => good.signatures[0]).filter((s) => s !== undefined);
    expect(verdict({ ...good, signatures: endless })).toBe("MALFORMED");
    const short = { keyId: keys.signer.keyId, signature: new Uint8Array(63) };
    expect(verdict({ ...good, signatures: [short] })).toBe("SIGNATURE_INVALID");
  });

  it("accepts one good signature beside unknown ones, as during a rotation", () => {
    const other = keysOf(Uint8Array.from({ length: 32 }, () => 9));
    const both = [...signEnvelope(PAYLOAD_TYPES.index, body, other.signer).signatures, ...signed().signatures];
    expect(verifyEnvelope({ ...signed(), signatures: both }, PAYLOAD_TYPES.index, keys.ring).ok).toBe(true);
  });

  it("survives its JSON form unchanged and gives equal bytes for equal envelopes", () => {
    const envelope = signed();
    const bytes = encodeEnvelope(envelope);
    expect(Buffer.from(encodeEnvelope(signed()))).toEqual(Buffer.from(bytes));
    const read = decodeEnvelope(bytes);
    if (read === undefined) throw new Error("its own JSON form must be readable");
    expect(verifyEnvelope(read, PAYLOAD_TYPES.index, keys.ring).ok).toBe(true);
  });

  it.each(["", "null", "[]", "{}", '{"payload":"e30=","payloadType":"text/plain","signatures":[]}', "\xff"])(
    "reads %j as malformed",
    (text) => {
      expect(decodeEnvelope(Buffer.from(text, "latin1"))).toBeUndefined();
    },
  );

  it("derives the key id from the SPKI DER", () => {
    const der = Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), keys.nacl.publicKey]);
    expect(keys.signer.keyId).toBe(createHash("sha256").update(der).digest("hex"));
    expect(keyIdOf(createPublicKey({ key: der, format: "der", type: "spki" }))).toBe(keys.signer.keyId);
  });
});

import { generateKeyPairSync } from "node:crypto";
import { describe, expect, it } from "vitest";
import { digestOf } from "../../base/digest.ts";
import { rfc3339 } from "../../base/clock.ts";
import { type KeyLookup, type SignedEnvelope, ed25519Signer, keyIdOf } from "../../trust/dsse.ts";
import { signIndex } from "./encode-index.ts";
import type { IndexDocument, IndexItem } from "./index-document.ts";
import { type IndexFloors, type IndexVerdict, verifyIndex } from "./verify-index.ts";

const NOW = Date.UTC(2026, 0, 10);
const pair = generateKeyPairSync("ed25519");
const stranger = generateKeyPairSync("ed25519");
const signer = ed25519Signer(pair.privateKey);
const keyId = keyIdOf(pair.publicKey);
const ring: KeyLookup = { empty: false, key: (id) => (id === keyId ? pair.publicKey : undefined) };

function document(
  sequence: number,
  items: readonly IndexItem[] = [],
  over: Partial<IndexDocument> = {},
): IndexDocument {
  return {
    _type: "FederationIndex/v1",
    cluster: "tenant-1",
    epoch: 1,
    sequence,
    issuedAt: rfc3339(NOW),
    expiresAt: rfc3339(NOW + 3_600_000),
    keyId,
    items,
    revocations: [],
    ...over,
  };
}

function item(name: string, version: number, body = name): IndexItem {
  return { kind: "PackInstalled", name, version, digest: digestOf(body), size: body.length };
}

function floorsOf(held: IndexDocument): IndexFloors {
  return {
    epoch: held.epoch,
    sequence: held.sequence,
    digest: digestOf(signIndex(held, signer).body),
  };
}

function verify(
  offer: SignedEnvelope,
  held?: IndexDocument,
  over: { keys?: KeyLookup; nowMs?: number } = {},
): IndexVerdict {
  return verifyIndex({
    offer,
    held,
    cluster: "tenant-1",
    keys: over.keys ?? ring,
    floors: held === undefined ? undefined : floorsOf(held),
    nowMs: over.nowMs ?? NOW,
  });
}

function code(verdict: IndexVerdict): string {
  return verdict.ok ? verdict.outcome : verdict.code;
}

describe("verifyIndex", () => {
  const held = document(5, [item("web", 3)]);

  it("accepts a newer index and treats the same one as a quiet no-op, even past its expiry", () => {
    expect(code(verify(signIndex(document(6, [item("web", 3)]), signer), held))).toBe("accepted");
    expect(code(verify(signIndex(held, signer), held))).toBe("unchanged");
    expect(code(verify(signIndex(held, signer), held, { nowMs: NOW + 86_400_000 }))).toBe("unchanged");
  });

  it("refuses a rollback, also across a lower epoch (replayed set)", () => {
    expect(code(verify(signIndex(document(4), signer), held))).toBe("ROLLBACK_REJECTED");
    const newer = document(1, [item("web", 1)], { epoch: 2 });
    expect(code(verify(signIndex(held, signer), newer))).toBe("ROLLBACK_REJECTED");
    expect(code(verify(signIndex(newer, signer), held))).toBe("accepted");
  });

  it("refuses a second index under the same position (equivocation)", () => {
    expect(code(verify(signIndex(document(5, [item("web", 4)]), signer), held))).toBe("EQUIVOCATION");
  });

  it("refuses an expired index (freeze), retryable: a clock may be wrong", () => {
    const old = document(6, [item("web", 3)], { issuedAt: rfc3339(NOW - 7200_000), expiresAt: rfc3339(NOW - 1) });
    expect(verify(signIndex(old, signer), held)).toMatchObject({ ok: false, code: "EXPIRED", retryable: true });
  });

  it("refuses an index from the future, retryable: the clock may be wrong", () => {
    const ahead = document(6, [item("web", 3)], {
      issuedAt: rfc3339(NOW + 301_000),
      expiresAt: rfc3339(NOW + 999_000),
    });
    const verdict = verify(signIndex(ahead, signer), held);
    expect(verdict).toMatchObject({ ok: false, code: "CLOCK_SKEW", retryable: true });
  });

  it("refuses another cluster's index, validly signed (transplant)", () => {
    expect(code(verify(signIndex(document(6, [], { cluster: "tenant-2" }), signer)))).toBe("WRONG_CLUSTER");
  });

  it("refuses an item that disappears without a tombstone, and accepts it once one stood there", () => {
    expect(code(verify(signIndex(document(6), signer), held))).toBe("DROPPED_WITHOUT_TOMBSTONE");
    const tombstone: IndexItem = { kind: "PackInstalled", name: "web", version: 6, digest: "", size: 0, deleted: true };
    expect(code(verify(signIndex(document(6, [tombstone]), signer), held))).toBe("accepted");
    expect(code(verify(signIndex(document(7), signer), document(6, [tombstone])))).toBe("accepted");
  });

  it("refuses an item at a lower version or changed under its version (mix and match)", () => {
    expect(code(verify(signIndex(document(6, [item("web", 2)]), signer), held))).toBe("ITEM_ROLLBACK");
    expect(code(verify(signIndex(document(6, [item("web", 3, "other")]), signer), held))).toBe("ITEM_ROLLBACK");
    const floored = document(5, [], { revocations: [{ target: "PackInstalled", name: "web", floor: 4, serial: 1 }] });
    const lowered = document(6, [], { revocations: [{ target: "PackInstalled", name: "web", floor: 3, serial: 1 }] });
    expect(code(verify(signIndex(lowered, signer), floored))).toBe("ITEM_ROLLBACK");
  });

  it("names each failure of the envelope before anything is parsed", () => {
    const offer = signIndex(document(6), signer);
    expect(code(verify({ ...offer, signatures: [] }))).toBe("UNSIGNED");
    expect(code(verify(offer, undefined, { keys: { empty: true, key: () => undefined } }))).toBe("KEYS_MISSING");
    expect(code(verify(signIndex(document(6), ed25519Signer(stranger.privateKey))))).toBe("UNKNOWN_KEY");
    expect(code(verify({ ...offer, body: Buffer.from("garbage") }))).toBe("SIGNATURE_INVALID");
    expect(code(verify({ ...offer, payloadType: "application/vnd.ontai.tombstone.v1+json" }))).toBe("MALFORMED");
    expect(code(verify(signIndex(document(6, [], { keyId: "someone else" }), signer)))).toBe("MALFORMED");
  });

  it("refuses endless data before hashing or verifying it", () => {
    const offer: SignedEnvelope = { ...signIndex(document(6), signer), body: new Uint8Array(8 * 1024 * 1024 + 1) };
    expect(code(verify(offer, undefined, { keys: { empty: true, key: () => undefined } }))).toBe("TOO_LARGE");
  });

  it("checks in a fixed order: an old, expired index of another cluster is WRONG_CLUSTER", () => {
    const bad = document(1, [], { cluster: "tenant-2", expiresAt: rfc3339(NOW - 1) });
    expect(code(verify(signIndex(bad, signer), held))).toBe("WRONG_CLUSTER");
    const oldAndExpired = document(1, [], { expiresAt: rfc3339(NOW - 1) });
    expect(code(verify(signIndex(oldAndExpired, signer), held))).toBe("ROLLBACK_REJECTED");
  });
});

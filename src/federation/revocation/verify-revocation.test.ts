import { generateKeyPairSync } from "node:crypto";
import { describe, expect, it } from "vitest";
import { PAYLOAD_TYPES, ed25519Signer, encodeEnvelope, signEnvelope } from "../../trust/dsse.ts";
import { KeyRing } from "../../trust/keyring/key-ring.ts";
import {
  type RevocationOrder,
  type RevocationRecord,
  addRevocation,
  revocationPush,
} from "../hub/revocations/revocation-record.ts";
import { verifyRevocation } from "./verify-revocation.ts";

const trusted = generateKeyPairSync("ed25519");
const ring = new KeyRing([trusted.publicKey]);
const order: RevocationOrder = {
  revocationId: "r-1",
  target: "PackInstalled",
  name: "web-tenant-1",
  namespace: "seam-tenant-tenant-1",
  reason: "CVE",
  floor: 4,
  orderedBy: "ann",
  orderedName: "web",
  boundedAtMs: 0,
};
const record = (more: Partial<RevocationOrder> = {}, key = trusted.privateKey): RevocationRecord =>
  addRevocation(
    { lastSerial: 6, records: [] },
    "tenant-1",
    { ...order, ...more },
    {
      nowMs: 1_000,
      signer: ed25519Signer(key),
    },
  ).record;
const detailOf = (push: ReturnType<typeof revocationPush>, cluster = "tenant-1", keys = ring): string => {
  const verdict = verifyRevocation(push, cluster, keys);
  return verdict.ok ? "ok" : verdict.detail;
};

describe("verifyRevocation (R-4.54)", () => {
  it("takes what was signed, not what stands beside it", () => {
    const push = revocationPush(record());
    push.minSerial = 99n;
    push.resourceName = "other";
    expect(verifyRevocation(push, "tenant-1", ring)).toEqual({
      ok: true,
      revocation: {
        cluster: "tenant-1",
        target: "PackInstalled",
        name: "web-tenant-1",
        namespace: "seam-tenant-tenant-1",
        revocationId: "r-1",
        serial: 7,
        reason: "CVE",
        minSequence: 0,
        minSerial: 4,
        effectiveUnixMs: 1_000,
      },
    });
    expect(verifyRevocation(revocationPush(record({ target: "Cluster" })), "tenant-1", ring)).toMatchObject({
      revocation: { target: "Cluster", minSequence: 4, minSerial: 0 },
    });
  });

  it("refuses by name what nobody trusted signed, what is for another cluster and what was renumbered", () => {
    const push = revocationPush(record());
    expect(detailOf(push, "tenant-2")).toBe("WRONG_CLUSTER: it is for tenant-1, this cluster is tenant-2");
    expect(detailOf({ ...push, serial: 8n })).toBe("WRONG_SERIAL: serial 7 was signed, 8 was sent");
    expect(detailOf({ ...push, envelope: new Uint8Array() })).toMatch(/^MALFORMED: .* no signed envelope/);
    const stranger = generateKeyPairSync("ed25519").privateKey;
    expect(detailOf(revocationPush(record({}, stranger)))).toMatch(/^UNKNOWN_KEY:/);
    expect(detailOf(push, "tenant-1", new KeyRing([]))).toMatch(/^KEYS_MISSING:/);
    for (const body of ["{", "[]", '{"_type":"Revocation/v1","target":"Everything"}', '{"_type":"Other/v1"}']) {
      const signed = signEnvelope(PAYLOAD_TYPES.revocation, Buffer.from(body), ed25519Signer(trusted.privateKey));
      expect(detailOf({ ...push, envelope: encodeEnvelope(signed) })).toMatch(/not a revocation this agent knows$/);
    }
    const index = signEnvelope(PAYLOAD_TYPES.index, Buffer.from("{}"), ed25519Signer(trusted.privateKey));
    expect(detailOf({ ...push, envelope: encodeEnvelope(index) })).toMatch(/^MALFORMED:/);
  });
});

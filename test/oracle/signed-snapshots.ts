import { type KeyObject, generateKeyPairSync } from "node:crypto";
import { type SnapshotContent, encodeContent } from "../../src/permissions/snapshot/content.ts";
import { type StatementInput, signStatement } from "../../src/permissions/snapshot/statement.ts";
import { type OwnSigner, ed25519Signer, encodeEnvelope } from "../../src/trust/dsse.ts";
import { KeyRing } from "../../src/trust/keyring/key-ring.ts";

/** A signing key with the ring that trusts it. */
export interface TestKey {
  readonly signer: OwnSigner;
  readonly publicKey: KeyObject;
  readonly ring: KeyRing;
}

/** A new Ed25519 key. */
export function testKey(): TestKey {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  return { signer: ed25519Signer(privateKey), publicKey, ring: new KeyRing([publicKey]) };
}

/** A signed snapshot as it travels. */
export interface SignedSnapshot {
  readonly envelope: Uint8Array;
  readonly content: Uint8Array;
  readonly contentHash: string;
}

/** Signs content as the management side does. */
export function signedSnapshot(
  content: SnapshotContent,
  key: TestKey,
  statement: Partial<StatementInput> & Pick<StatementInput, "sequence" | "issuedAtMs">,
): SignedSnapshot {
  const { bytes, contentHash } = encodeContent(content);
  const envelope = signStatement(
    {
      cluster: content.targetCluster,
      epoch: 1_700_000_000,
      contentHash,
      freshnessWindowSeconds: content.freshnessWindowSeconds,
      maxOfflineSeconds: content.maxOfflineSeconds,
      minSequence: 0,
      ...statement,
    },
    key.signer,
  );
  return { envelope: encodeEnvelope(envelope), content: bytes, contentHash };
}

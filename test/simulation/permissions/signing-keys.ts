import { createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";
import { type OwnSigner, ed25519Signer } from "../../../src/trust/dsse.ts";

/** One signing key. */
export interface SigningKey {
  readonly signer: OwnSigner;
  readonly publicKey: KeyObject;
}

/** PKCS #8 of an Ed25519 private key up to its 32 bytes (RFC 8410). */
const PKCS8_PREFIX = "302e020100300506032b657004220420";

/** The same key for the same number, so that a run of a seed is the same in every process. */
export function signingKey(number: number): SigningKey {
  const der = Buffer.concat([Buffer.from(PKCS8_PREFIX, "hex"), Buffer.alloc(32, number)]);
  const privateKey = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
  return { signer: ed25519Signer(privateKey), publicKey: createPublicKey(privateKey) };
}

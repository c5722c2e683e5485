import { type KeyObject, createPrivateKey, createPublicKey, generateKeyPair } from "node:crypto";
import { promisify } from "node:util";
import { SeamError } from "../../base/errors.ts";

const generate = promisify(generateKeyPair);

/** Both halves of a signing key, PEM (PKCS#8 and SPKI). */
export interface SigningKeyPair {
  readonly privateKeyPem: string;
  readonly publicKeyPem: string;
}

/** A new Ed25519 key pair. */
export async function generateSigningKeyPair(): Promise<SigningKeyPair> {
  const { privateKey, publicKey } = await generate("ed25519");
  return {
    privateKeyPem: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    publicKeyPem: publicKey.export({ type: "spki", format: "pem" }).toString(),
  };
}

/**
 * Reads a PKCS#8 PEM Ed25519 private key.
 *
 * @throws SeamError `SigningKeyInvalid`, never quoting the file's content
 */
export function parseSigningKey(pem: string, object: string): KeyObject {
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch (cause) {
    throw invalid(object, "a PKCS#8 PEM private key", cause);
  }
  if (key.asymmetricKeyType !== "ed25519") throw invalid(object, `an Ed25519 key, found ${key.asymmetricKeyType}`);
  return key;
}

/**
 * Reads an SPKI PEM Ed25519 public key. A private key is refused by its label, before it is parsed: a verifier has no business
 * with one.
 *
 * @throws SeamError `SigningKeyInvalid`
 */
export function parseVerificationKey(pem: string, object: string): KeyObject {
  if (holdsPrivateKey(pem)) throw invalid(object, "a public key, found a private key");
  let key: KeyObject;
  try {
    key = createPublicKey(pem);
  } catch (cause) {
    throw invalid(object, "an SPKI PEM public key", cause);
  }
  if (key.asymmetricKeyType !== "ed25519") throw invalid(object, `an Ed25519 key, found ${key.asymmetricKeyType}`);
  return key;
}

/** True when a PEM text holds a private key of any form. */
export function holdsPrivateKey(pem: string): boolean {
  return /-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----/.test(pem);
}

function invalid(object: string, expected: string, cause?: unknown): SeamError {
  return new SeamError(
    {
      reason: "SigningKeyInvalid",
      object,
      expected: `expected ${expected}`,
      remedy: "signing keys are Ed25519: private half PKCS#8, public half SPKI, both PEM",
    },
    { cause },
  );
}

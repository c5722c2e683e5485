import { type KeyObject, createPrivateKey, createPublicKey, generateKeyPair, type webcrypto } from "node:crypto";
import { promisify } from "node:util";

/** Web Crypto parameters of every X.509 key that is generated here. */
export const EC_KEY = { name: "ECDSA", namedCurve: "P-256" } as const;
/** Web Crypto parameters of every certificate signature. */
export const EC_SIGNATURE = { name: "ECDSA", hash: "SHA-256" } as const;

const generate = promisify(generateKeyPair);

/** A new ECDSA P-256 private key. */
export async function generateCertificateKey(): Promise<KeyObject> {
  const { privateKey } = await generate("ec", { namedCurve: "P-256" });
  return privateKey;
}

/** PKCS#8 PEM of a private key. */
export function privateKeyPem(key: KeyObject): string {
  return key.export({ type: "pkcs8", format: "pem" }).toString();
}

/** SPKI DER of the public half of a private or public key. */
export function publicKeyDer(key: KeyObject): Buffer {
  const publicKey = key.type === "private" ? createPublicKey(key) : key;
  return publicKey.export({ type: "spki", format: "der" });
}

/** Reads a PEM private key. @throws Error for anything that is not one */
export function parsePrivateKey(pem: string | Buffer): KeyObject {
  return createPrivateKey(pem);
}

/** The same key for Web Crypto, which the issuing library signs with. */
export function webCryptoPrivateKey(key: KeyObject): webcrypto.CryptoKey {
  return key.toCryptoKey(EC_KEY, true, ["sign"]);
}

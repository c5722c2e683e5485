import { type KeyObject, createPublicKey } from "node:crypto";
import { SeamError } from "../../base/errors.ts";
import { EC_KEY, EC_SIGNATURE, publicKeyDer, webCryptoPrivateKey } from "./key-pair.ts";
import { Pkcs10CertificateRequest, Pkcs10CertificateRequestGenerator } from "./x509-library.ts";

/** Largest PKCS#10 request that is parsed, bytes. */
export const MAX_REQUEST_BYTES = 16 * 1024;

const CURVES: ReadonlySet<string | undefined> = new Set(["prime256v1", "secp384r1"]);

/**
 * Public key of a PKCS#10 request, after its proof of possession was checked. Nothing else of the request is ever used: names,
 * usages and lifetimes are the issuer's decision (lessons §6.1).
 *
 * @throws SeamError `CertificateRequestInvalid`
 */
export async function publicKeyOfRequest(der: Uint8Array): Promise<KeyObject> {
  if (der.length > MAX_REQUEST_BYTES) throw invalid(`at most ${MAX_REQUEST_BYTES} bytes, found ${der.length}`);
  let key: KeyObject;
  let proven: boolean;
  try {
    const request = new Pkcs10CertificateRequest(Uint8Array.from(der));
    key = createPublicKey({ key: Buffer.from(request.publicKey.rawData), format: "der", type: "spki" });
    proven = await request.verify();
  } catch (cause) {
    throw invalid("a PKCS#10 request in DER", cause);
  }
  if (key.asymmetricKeyType !== "ec" || !CURVES.has(key.asymmetricKeyDetails?.namedCurve))
    throw invalid("an ECDSA key on P-256 or P-384");
  if (!proven) throw invalid("a signature by the requested key (proof of possession)");
  return key;
}

/** PKCS#10 request (DER) for a key that stays where it is. The subject is for people who read the request; it is not used. */
export async function createCertificateRequest(privateKey: KeyObject, commonName: string): Promise<Uint8Array> {
  const publicKey = createPublicKey({ key: publicKeyDer(privateKey), format: "der", type: "spki" });
  const request = await Pkcs10CertificateRequestGenerator.create({
    name: [{ CN: [commonName] }],
    keys: {
      privateKey: webCryptoPrivateKey(privateKey),
      publicKey: publicKey.toCryptoKey(EC_KEY, true, ["verify"]),
    },
    signingAlgorithm: EC_SIGNATURE,
  });
  return new Uint8Array(request.rawData);
}

function invalid(expected: string, cause?: unknown): SeamError {
  return new SeamError(
    {
      reason: "CertificateRequestInvalid",
      object: "certificate request",
      expected,
      remedy: "create it with a new ECDSA P-256 key",
    },
    { cause },
  );
}

import { readFile } from "node:fs/promises";
import { createPublicKey } from "node:crypto";
import { SeamError } from "../../base/errors.ts";
import { readFileIfPresent } from "../durable-file.ts";
import { type OwnSigner, ed25519Signer, keyIdOf } from "../dsse.ts";
import { holdsPrivateKey, parseSigningKey, parseVerificationKey } from "./ed25519-keys.ts";

/** Where the signing key pair of the management side lies. */
export interface SigningKeyFiles {
  /** PKCS#8 PEM. */
  readonly privateKeyPath: string;
  /** SPKI PEM; checked to be the public half (conductor §1.4). */
  readonly publicKeyPath: string;
}

/**
 * Loads the signing key pair.
 *
 * @throws SeamError `SigningKeyInvalid` when a file is no Ed25519 key or the halves do not belong together
 */
export async function loadSigner(files: SigningKeyFiles): Promise<OwnSigner> {
  const privateKey = parseSigningKey(
    await readFile(files.privateKeyPath, "utf8"),
    `signing key ${files.privateKeyPath}`,
  );
  const publicKey = parseVerificationKey(
    await readFile(files.publicKeyPath, "utf8"),
    `signing key ${files.publicKeyPath}`,
  );
  if (keyIdOf(createPublicKey(privateKey)) !== keyIdOf(publicKey))
    throw new SeamError({
      reason: "SigningKeyInvalid",
      object: `signing key ${files.publicKeyPath}`,
      expected: `expected the public half of ${files.privateKeyPath}`,
      remedy: "install both halves of one pair",
    });
  return ed25519Signer(privateKey);
}

/**
 * INV-026: a tenant that finds a signing private key refuses to start. The files are looked into, because a
 * private key under the name of a public one is the mistake that matters.
 *
 * @throws SeamError `InvariantViolation`
 */
export async function refuseSigningKeyOnTenant(paths: readonly (string | undefined)[]): Promise<void> {
  for (const path of paths) {
    if (path === undefined) continue;
    const content = await readFileIfPresent(path);
    if (content !== undefined && holdsPrivateKey(content.toString("utf8")))
      throw new SeamError({
        reason: "InvariantViolation",
        object: "role tenant",
        field: path,
        expected: "no signing private key may be present: only management signs (INV-026)",
        remedy: "remove the file from this cluster and rotate the key",
      });
  }
}

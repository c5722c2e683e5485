import { createHash, hash } from "node:crypto";

/** Content digest in the OCI form: `sha256:` and 64 lowercase hex digits. */
export type Digest = `sha256:${string}`;

const DIGEST = /^sha256:[0-9a-f]{64}$/;

/** Lowercase hex SHA-256 of `data`. */
export function sha256Hex(data: Uint8Array | string): string {
  // In one call: an eighth of the time of a hash object for a short text.
  return hash("sha256", data, "hex");
}

/** Digest of `data` in the OCI form. */
export function digestOf(data: Uint8Array | string): Digest {
  return `sha256:${sha256Hex(data)}`;
}

/** SHA-256 of data that comes in parts. */
export interface RunningDigest {
  /** Takes the next part; text as UTF-8. */
  update(part: Uint8Array | string): void;
  /** The digest of all parts; ends it. */
  end(): Digest;
}

/** Begins a digest over parts. */
export function runningDigest(): RunningDigest {
  const running = createHash("sha256");
  return {
    update: (part) => void running.update(part),
    end: () => `sha256:${running.digest("hex")}`,
  };
}

/** True when `text` is a well-formed SHA-256 digest. */
export function isDigest(text: string): text is Digest {
  return DIGEST.test(text);
}

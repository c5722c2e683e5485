import { createHash, hash } from "node:crypto";

/** Content digest in the OCI form: `sha256:` and 64 lowercase hex digits. */
export type Digest = `sha256:${string}`;

const PREFIX = "sha256:";
/** `sha256:` and 64 hex digits. */
const DIGEST_LENGTH = PREFIX.length + 64;
/** By character code: 1 for a lowercase hex digit. */
const IS_HEX_DIGIT: Readonly<Uint8Array> = Uint8Array.from({ length: 128 }, (_, code) =>
  "0123456789abcdef".includes(String.fromCharCode(code)) ? 1 : 0,
);

/** Lowercase hex SHA-256 of `data`. */
export function sha256Hex(data: Uint8Array | string): string {
  // In one call: an eighth of the time of a hash object for a short text.
  return hash("sha256", data, "hex");
}

/** SHA-256 of `data` as 32 characters, each a byte: for what is compared and sorted by it and never shown. */
export function sha256Bytes(data: Uint8Array | string): string {
  return hash("sha256", data, "binary");
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
  if (text.length !== DIGEST_LENGTH || !text.startsWith(PREFIX)) return false;
  // An index names thousands: a third of the time of a regular expression.
  let hex = 1;
  for (let at = PREFIX.length; at < DIGEST_LENGTH; at++) hex &= IS_HEX_DIGIT[text.charCodeAt(at)] ?? 0;
  return hex === 1;
}

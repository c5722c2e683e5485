import type { Digest } from "../../base/digest.ts";

/** Place of a snapshot in its cluster's history. */
export interface SnapshotPosition {
  /** Unix seconds when the hub's sequence store was created; rises when that store was lost. */
  readonly epoch: number;
  /** Rises with every change of content. */
  readonly sequence: number;
}

/** Orders by (epoch, sequence): negative when `a` is older. */
export function comparePositions(a: SnapshotPosition, b: SnapshotPosition): number {
  return a.epoch === b.epoch ? a.sequence - b.sequence : a.epoch - b.epoch;
}

/** First 12 hex digits of a content hash. */
export function hash12(contentHash: Digest): string {
  return contentHash.slice("sha256:".length, "sha256:".length + 12);
}

/** `e{epoch}.s{sequence}.{hash12}` (permissions §2.4). */
export function snapshotVersion(position: SnapshotPosition, contentHash: Digest): string {
  return `e${position.epoch}.s${position.sequence}.${hash12(contentHash)}`;
}

/** Opaque token for AT_LEAST_AS_FRESH: base64url of `epoch.sequence.hash12` (permissions §11.1). */
export function consistencyToken(position: SnapshotPosition, contentHash: Digest): string {
  return Buffer.from(`${position.epoch}.${position.sequence}.${hash12(contentHash)}`).toString("base64url");
}

const TOKEN = /^(0|[1-9][0-9]{0,14})\.(0|[1-9][0-9]{0,14})\.[0-9a-f]{12}$/;

/** Position of a token; undefined when it is not one. */
export function parseConsistencyToken(token: string): SnapshotPosition | undefined {
  const match = TOKEN.exec(Buffer.from(token, "base64url").toString("latin1"));
  return match === null ? undefined : { epoch: Number(match[1]), sequence: Number(match[2]) };
}

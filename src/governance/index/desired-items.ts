import { parseCanonicalJson } from "../../base/canonical-json.ts";
import { type Digest, digestOf, isDigest } from "../../base/digest.ts";
import { SeamError } from "../../base/errors.ts";
import { isJsonObject } from "../../base/json.ts";
import type { SecretObject } from "../../api/builtin.ts";
import { GOVERNANCE_SECRET_PREFIX, signedSnapshotSecretName, snapshotName } from "../../api/names.ts";
import { governanceItemName, parseGovernance } from "../../federation/governance/governance-body.ts";
import type { BlobRef, IndexItem } from "../../federation/index/index-document.ts";
import { MAX_BLOB_BYTES } from "../../federation/index/index-document.ts";
import { parseCorrection } from "../../packs/manifest/correction.ts";
import { parsePackManifest } from "../../packs/manifest/pack-manifest.ts";
import { parseTombstone } from "../../packs/manifest/tombstone.ts";
import { parseChunkList } from "../../permissions/snapshot/content-chunks.ts";
import { PAYLOAD_TYPES, type SignedEnvelope, decodeEnvelope } from "../../trust/dsse.ts";
import { envelopeBytesOf } from "../signing/signed-secret.ts";

/** What a Secret says should stand in the index; the index adds the version. */
export interface DesiredItem extends Omit<IndexItem, "version"> {
  /** Ordering value of the body, where two Secrets speak of one item (a pack and its tombstone): the higher one counts. */
  readonly order: number;
  /** Name of the Secret. */
  readonly secret: string;
}

/** A Secret's item, or why it cannot be one. */
export type ReadItem =
  | { readonly ok: true; readonly item: DesiredItem }
  | { readonly ok: false; readonly problem: string };

const PREFIXES = [
  "seam-pack-signed-",
  "seam-snapshot-signed-",
  "seam-correction-",
  "seam-tombstone-signed-",
  GOVERNANCE_SECRET_PREFIX,
];

/** True for Secrets that hold an item of the index. */
export function holdsItem(secret: SecretObject): boolean {
  return PREFIXES.some((prefix) => secret.metadata.name.startsWith(prefix));
}

/**
 * Reads the item that a Secret of a tenant namespace stands for. The signature is not what is decided here: the body's own signature
 * says who authorised it and is verified by the tenant; the index only says that it is current for this cluster. What is checked is
 * that the body is whole, names this cluster, and is what the Secret's name claims.
 */
export function readItem(secret: SecretObject, cluster: string): ReadItem {
  const bytes = envelopeBytesOf(secret);
  const envelope = bytes === undefined ? undefined : decodeEnvelope(bytes);
  if (bytes === undefined || envelope === undefined) return { ok: false, problem: "data.envelope is no DSSE envelope" };
  try {
    const parsed = parse(secret, cluster, envelope);
    if (typeof parsed === "string") return { ok: false, problem: parsed };
    return {
      ok: true,
      item: { ...parsed, digest: digestOf(bytes), size: bytes.length, secret: secret.metadata.name },
    };
  } catch (error) {
    if (error instanceof SeamError) return { ok: false, problem: error.message };
    throw error;
  }
}

type Parsed = Omit<DesiredItem, "digest" | "size" | "secret">;

function parse(secret: SecretObject, cluster: string, envelope: SignedEnvelope): Parsed | string {
  switch (envelope.payloadType) {
    case PAYLOAD_TYPES.packInstalled: {
      const manifest = parsePackManifest(envelope.body);
      if (manifest.targetClusterRef !== cluster) return otherCluster(manifest.targetClusterRef);
      const refs = refsOf(secret);
      if (typeof refs === "string") return refs;
      return { kind: "PackInstalled", name: manifest.name, order: manifest.serial, refs };
    }
    case PAYLOAD_TYPES.tombstone: {
      const tombstone = parseTombstone(envelope.body);
      if (tombstone.cluster !== cluster) return otherCluster(tombstone.cluster);
      if (tombstone.kind !== "PackInstalled") return `tombstones of kind ${tombstone.kind} are unknown`;
      return { kind: "PackInstalled", name: tombstone.name, order: tombstone.serial, deleted: true };
    }
    case PAYLOAD_TYPES.correction: {
      const correction = parseCorrection(envelope.body);
      if (correction.cluster !== cluster) return otherCluster(correction.cluster);
      return { kind: "Correction", name: correction.packInstalled, order: correction.attempt };
    }
    case PAYLOAD_TYPES.governance: {
      const body = parseGovernance(envelope.body);
      if (body.cluster !== cluster) return otherCluster(body.cluster);
      const name = governanceItemName(body);
      if (secret.metadata.name !== GOVERNANCE_SECRET_PREFIX + name) return "the Secret is named after another object";
      return { kind: "Governance", name, order: body.serial, ...(body.deleted ? { deleted: true } : {}) };
    }
    case PAYLOAD_TYPES.permissionSnapshot:
      return parseSnapshot(secret, cluster, envelope.body);
    default:
      return `payload type ${envelope.payloadType} is no item`;
  }
}

function parseSnapshot(secret: SecretObject, cluster: string, body: Uint8Array): Parsed | string {
  if (secret.metadata.name !== signedSnapshotSecretName(cluster)) return "the Secret is named after another cluster";
  const statement = parseCanonicalJson(body);
  if (!isJsonObject(statement)) return "the statement is no object";
  if (statement["cluster"] !== cluster) return otherCluster(JSON.stringify(statement["cluster"]));
  const ref = snapshotContent(secret, cluster, statement["contentHash"]);
  if (typeof ref === "string") return ref;
  return {
    kind: "PermissionSnapshot",
    name: snapshotName(cluster),
    order: Number(statement["sequence"]),
    refs: [ref],
  };
}

/** The content blob of a snapshot. In chunks it is checked by whoever puts them together: the signed hash is its name. */
function snapshotContent(secret: SecretObject, cluster: string, contentHash: unknown): BlobRef | string {
  const { content, chunks } = secret.data ?? {};
  if (content === undefined) {
    if (chunks === undefined) return "data.content is missing";
    const list = parseChunkList(Buffer.from(chunks, "base64").toString(), cluster);
    if (list === undefined) return "data.chunks is no list of this cluster's chunks";
    if (typeof contentHash !== "string" || !isDigest(contentHash)) return "the statement's contentHash is no digest";
    return { digest: contentHash, size: list.reduce((sum, { bytes }) => sum + bytes, 0) };
  }
  const bytes = Buffer.from(content, "base64");
  const digest = digestOf(bytes);
  if (contentHash !== digest) return "data.content is not what the statement's contentHash names";
  return { digest, size: bytes.length };
}

function refsOf(secret: SecretObject): readonly BlobRef[] | string {
  const text = secret.data?.["refs"];
  if (text === undefined) return [];
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(text, "base64").toString());
  } catch {
    return "data.refs is no JSON"; // a problem of this Secret, told to whoever asks
  }
  if (!Array.isArray(value)) return "data.refs is no list";
  const refs: BlobRef[] = [];
  for (const entry of value as readonly unknown[]) {
    if (!isJsonObject(entry)) return "data.refs holds something that is no object";
    const { digest, size } = entry;
    if (typeof digest !== "string" || !isDigest(digest)) return "data.refs holds something that is no digest";
    if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0 || size > MAX_BLOB_BYTES)
      return `data.refs holds a size that is not 0 to ${MAX_BLOB_BYTES} bytes`;
    refs.push({ digest: digest satisfies Digest, size });
  }
  return refs;
}

function otherCluster(cluster: string): string {
  return `the body is for cluster ${cluster}`;
}

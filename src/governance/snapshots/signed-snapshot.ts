import { Secret, type SecretObject } from "../../api/builtin.ts";
import { FIELD_MANAGERS, LABELS, SECRET_TYPES, signedSnapshotSecretName, tenantNamespace } from "../../api/names.ts";
import type { Digest } from "../../base/digest.ts";
import { isStatus } from "../../cluster/api-status-error.ts";
import type { Cluster } from "../../cluster/cluster.ts";
import { type ContentChunk, chunksOf, parseChunkList } from "../../permissions/snapshot/content-chunks.ts";
import { MAX_INLINE_CONTENT_BYTES } from "../../permissions/snapshot/limits.ts";
import { SnapshotRefused } from "../../permissions/snapshot/snapshot-failure.ts";
import { hash12 } from "../../permissions/snapshot/snapshot-version.ts";
import { type SnapshotStatement, parseStatement } from "../../permissions/snapshot/statement.ts";
import {
  type KeyLookup,
  PAYLOAD_TYPES,
  type SignedEnvelope,
  decodeEnvelope,
  encodeEnvelope,
  verifyEnvelope,
} from "../../trust/dsse.ts";
import { SIGNED_SNAPSHOT } from "./permission-caches.ts";

/** What is stored of a signed snapshot. */
export interface StoredSnapshot {
  readonly secret: SecretObject | undefined;
  /** The statement, when a trusted key signed it for this cluster. */
  readonly statement: SnapshotStatement | undefined;
  /** True when something is stored that does not verify. */
  readonly forged: boolean;
}

/** Reads the Secret of a tenant from the server and verifies it: its presence alone is never trusted. */
export async function readSignedSnapshot(cluster: Cluster, tenant: string, keys: KeyLookup): Promise<StoredSnapshot> {
  let secret: SecretObject;
  try {
    const name = signedSnapshotSecretName(tenant);
    secret = await cluster.get(Secret, { namespace: tenantNamespace(tenant), name });
  } catch (error) {
    if (isStatus(error, "NotFound")) return { secret: undefined, statement: undefined, forged: false };
    throw error;
  }
  const statement = verifiedStatement(secret, tenant, keys);
  return { secret, statement, forged: statement === undefined };
}

function verifiedStatement(secret: SecretObject, tenant: string, keys: KeyLookup): SnapshotStatement | undefined {
  const encoded = secret.data?.["envelope"];
  const envelope = encoded === undefined ? undefined : decodeEnvelope(Buffer.from(encoded, "base64"));
  if (envelope === undefined || !verifyEnvelope(envelope, PAYLOAD_TYPES.permissionSnapshot, keys).ok) return undefined;
  try {
    const statement = parseStatement(envelope.body);
    return statement.cluster === tenant ? statement : undefined;
  } catch (error) {
    if (error instanceof SnapshotRefused) return undefined; // signed by us in a form we no longer write: sign again
    throw error;
  }
}

/** True when a stored Secret carries exactly this content, inline or as chunks. */
export function carriesContent(secret: SecretObject, content: Uint8Array, contentHash: Digest): boolean {
  const { data = {} } = secret;
  if (content.length <= MAX_INLINE_CONTENT_BYTES) return data["content"] === Buffer.from(content).toString("base64");
  return data["chunks"] === chunkList(secret.metadata.labels?.[LABELS.cluster] ?? "", content, contentHash).list;
}

function chunkList(tenant: string, content: Uint8Array, contentHash: Digest) {
  const chunks = chunksOf(tenant, hash12(contentHash), content, MAX_INLINE_CONTENT_BYTES);
  const entries: readonly ContentChunk[] = chunks.map(({ name, sha256, bytes }) => ({ name, sha256, bytes }));
  return { chunks, entries, list: Buffer.from(JSON.stringify(entries)).toString("base64") };
}

/** Chunks in which content will lie; none when it is small enough to stand inline. */
export function chunksFor(tenant: string, content: Uint8Array, contentHash: Digest): readonly ContentChunk[] {
  return content.length <= MAX_INLINE_CONTENT_BYTES ? [] : chunkList(tenant, content, contentHash).entries;
}

/**
 * Writes the signed snapshot: chunks first when there are any, then the Secret that names them, then chunks of older content go.
 *
 * @throws ApiStatusError 409 when another writer was quicker
 */
export async function writeSignedSnapshot(
  cluster: Cluster,
  tenant: string,
  stored: StoredSnapshot,
  signed: { readonly envelope: SignedEnvelope; readonly content: Uint8Array; readonly contentHash: Digest },
): Promise<void> {
  const namespace = tenantNamespace(tenant);
  const inline = signed.content.length <= MAX_INLINE_CONTENT_BYTES;
  const { chunks, entries, list } = inline
    ? { chunks: [], entries: [], list: "" }
    : chunkList(tenant, signed.content, signed.contentHash);
  for (const { name, data } of chunks)
    await createIfAbsent(cluster, {
      apiVersion: "v1",
      kind: "Secret",
      type: SECRET_TYPES.signedArtifact,
      metadata: { name, namespace, labels: { [LABELS.cluster]: tenant } },
      data: { chunk: Buffer.from(data).toString("base64") },
    });
  const secret: SecretObject = {
    apiVersion: "v1",
    kind: "Secret",
    type: SECRET_TYPES.signedArtifact,
    metadata: {
      ...stored.secret?.metadata,
      name: signedSnapshotSecretName(tenant),
      namespace,
      labels: { [LABELS.cluster]: tenant, [LABELS.snapshotType]: SIGNED_SNAPSHOT },
    },
    data: {
      envelope: Buffer.from(encodeEnvelope(signed.envelope)).toString("base64"),
      ...(inline ? { content: Buffer.from(signed.content).toString("base64") } : { chunks: list }),
    },
  };
  const options = { fieldManager: FIELD_MANAGERS.signer };
  await (stored.secret === undefined
    ? cluster.create(Secret, secret, options)
    : cluster.update(Secret, secret, options));
  const kept = new Set(entries.map(({ name }) => name));
  for (const { name } of chunksNamedBy(stored.secret))
    if (!kept.has(name)) await deleteSecret(cluster, namespace, name);
}

/** Removes the signed snapshot of a cluster that is no longer governed; the ledger stays, positions never go back. */
export async function removeSignedSnapshot(cluster: Cluster, tenant: string, secret: SecretObject): Promise<void> {
  const namespace = tenantNamespace(tenant);
  for (const { name } of chunksNamedBy(secret)) await deleteSecret(cluster, namespace, name);
  await deleteSecret(cluster, namespace, secret.metadata.name);
}

/** Chunks that a stored Secret names; none for inline content. */
export function chunksNamedBy(secret: SecretObject | undefined): readonly ContentChunk[] {
  const encoded = secret?.data?.["chunks"];
  const tenant = secret?.metadata.labels?.[LABELS.cluster] ?? "";
  return encoded === undefined ? [] : (parseChunkList(Buffer.from(encoded, "base64").toString(), tenant) ?? []);
}

async function createIfAbsent(cluster: Cluster, secret: SecretObject): Promise<void> {
  try {
    await cluster.create(Secret, secret, { fieldManager: FIELD_MANAGERS.signer });
  } catch (error) {
    // The name holds the content's hash. What stands there may still be something else: then it is replaced.
    if (!isStatus(error, "AlreadyExists")) throw error;
    const { name, namespace = "" } = secret.metadata;
    const held = await cluster.get(Secret, { namespace, name });
    if (held.data?.["chunk"] === secret.data?.["chunk"]) return;
    await cluster.update(
      Secret,
      { ...secret, metadata: { ...held.metadata, ...secret.metadata } },
      { fieldManager: FIELD_MANAGERS.signer },
    );
  }
}

async function deleteSecret(cluster: Cluster, namespace: string, name: string): Promise<void> {
  try {
    await cluster.delete(Secret, { namespace, name });
  } catch (error) {
    if (!isStatus(error, "NotFound")) throw error;
  }
}

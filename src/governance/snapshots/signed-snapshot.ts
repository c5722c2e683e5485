import { Secret, type SecretObject } from "../../api/builtin.ts";
import { FIELD_MANAGERS, LABELS, SECRET_TYPES, signedSnapshotSecretName, tenantNamespace } from "../../api/names.ts";
import { nextTurn } from "../../base/next-turn.ts";
import { isStatus } from "../../cluster/api-status-error.ts";
import type { Cluster } from "../../cluster/cluster.ts";
import type { ComputedContent } from "../../permissions/builder/computed-content.ts";
import {
  type ContentChunk,
  type CutChunk,
  chunksOf,
  parseChunkList,
} from "../../permissions/snapshot/content-chunks.ts";
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

/** Content as it lies in Secrets: inline, or cut into chunks. */
export interface StoredContent {
  readonly bytes: Uint8Array;
  /** Empty for inline content. */
  readonly chunks: readonly CutChunk[];
}

/** Writes content out and cuts it, once for all that is done with it; a large one chunk by chunk, each in a turn of its own. */
export async function storedContent(computed: ComputedContent): Promise<StoredContent> {
  const { cluster, contentHash } = computed;
  const bytes = await computed.bytesInTurns();
  const chunks: CutChunk[] = [];
  if (bytes.length > MAX_INLINE_CONTENT_BYTES)
    for (const chunk of chunksOf(cluster, hash12(contentHash), bytes, MAX_INLINE_CONTENT_BYTES)) {
      chunks.push(chunk);
      await nextTurn();
    }
  return { bytes, chunks };
}

/** True when a stored Secret carries exactly this content, inline or as chunks. */
export function carriesContent({ data = {} }: SecretObject, content: StoredContent): boolean {
  if (content.chunks.length > 0) return data["chunks"] === chunkList(content);
  return data["content"] === Buffer.from(content.bytes).toString("base64");
}

function chunkList({ chunks }: StoredContent): string {
  return Buffer.from(JSON.stringify(namesOf(chunks))).toString("base64");
}

/** Chunks without their bytes. */
export function namesOf(chunks: readonly CutChunk[]): readonly ContentChunk[] {
  return chunks.map(({ name, sha256, bytes }) => ({ name, sha256, bytes }));
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
  signed: { readonly envelope: SignedEnvelope; readonly content: StoredContent },
): Promise<void> {
  const namespace = tenantNamespace(tenant);
  const { content } = signed;
  for (const { name, data } of content.chunks)
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
      ...(content.chunks.length === 0
        ? { content: Buffer.from(content.bytes).toString("base64") }
        : { chunks: chunkList(content) }),
    },
  };
  const options = { fieldManager: FIELD_MANAGERS.signer };
  await (stored.secret === undefined
    ? cluster.create(Secret, secret, options)
    : cluster.update(Secret, secret, options));
  const kept = new Set(content.chunks.map(({ name }) => name));
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

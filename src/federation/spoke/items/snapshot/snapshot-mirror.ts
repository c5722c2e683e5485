import { ConfigMap } from "../../../../api/builtin.ts";
import { PermissionSnapshot } from "../../../../api/kinds/permission-snapshot.ts";
import { FIELD_MANAGERS, LABELS, NAMESPACES, snapshotName } from "../../../../api/names.ts";
import { canonicalJson } from "../../../../base/canonical-json.ts";
import { rfc3339Seconds } from "../../../../base/clock.ts";
import type { JsonValue } from "../../../../base/json.ts";
import type { Cluster } from "../../../../cluster/cluster.ts";
import { ifPresent } from "../../../../cluster/if-present.ts";
import { type ContentChunk, chunksOf, parseChunkList } from "../../../../permissions/snapshot/content-chunks.ts";
import { SnapshotRefused } from "../../../../permissions/snapshot/snapshot-failure.ts";
import { hash12 } from "../../../../permissions/snapshot/snapshot-version.ts";
import { contentToJson } from "../../../../permissions/snapshot/content.ts";
import { CONTENT_MEMBERS } from "../../../../permissions/snapshot/parse-content.ts";
import { MAX_INLINE_CONTENT_BYTES } from "../../../../permissions/snapshot/limits.ts";
import type { ActiveSnapshot } from "../../../../permissions/store/active-snapshot.ts";
import type { SnapshotParts } from "./snapshot-parts.ts";

/** Annotation with the signed envelope (JSON form): whoever reads the mirror verifies it again. */
export const ENVELOPE_ANNOTATION = "seam.ontai.dev/snapshot-envelope";
/** Rules and bindings above which content is too large for an object in any case. */
const MAX_INLINE_ENTRIES = 10_000;
/** Value of the snapshot-type label of a mirror. */
export const MIRRORED = "mirrored";
/** And of the ConfigMaps with the content of a large one. */
const MIRRORED_CONTENT = "mirrored-content";
/** Name of the replica that wrote the mirror. */
const MIRRORED_BY = "seam.ontai.dev/mirrored-by";

/**
 * Writes the local mirror `PermissionSnapshot/snapshot-{cluster}` in `ont-system`: header and envelope always, content while
 * it is small enough for an object. Nothing on this cluster trusts it without verifying the envelope.
 */
export async function mirrorSnapshot(
  parts: SnapshotParts,
  active: ActiveSnapshot,
  envelope: Uint8Array,
  { changed, readContent }: { readonly changed: boolean; readonly readContent: () => Promise<Uint8Array> },
): Promise<void> {
  const { statement, index } = active;
  const key = { namespace: NAMESPACES.ont, name: snapshotName(parts.clusterId) };
  // Counted before it is written out: turning tens of megabytes into text would hold the event loop.
  const few = index.sizes.rules + index.sizes.bindings <= MAX_INLINE_ENTRIES;
  const content = few ? contentToJson(index.content) : {};
  const small = few && JSON.stringify(content).length <= MAX_INLINE_CONTENT_BYTES;
  const chunks = small ? [] : await mirrorContent(parts, statement, readContent);
  const issuedAt = rfc3339Seconds(statement.issuedAtMs);
  await parts.cluster.patch(
    PermissionSnapshot,
    key,
    {
      type: "apply",
      body: {
        apiVersion: "guardian.ontai.dev/v1alpha1",
        kind: "PermissionSnapshot",
        metadata: {
          ...key,
          labels: { [LABELS.snapshotType]: MIRRORED },
          annotations: {
            [ENVELOPE_ANNOTATION]: Buffer.from(envelope).toString(),
            [MIRRORED_BY]: parts.replica ?? "",
          },
        },
        spec: {
          ...(small ? content : { contentRef: { chunks: chunks.map((chunk) => ({ ...chunk })) } }),
          targetCluster: statement.cluster,
          version: statement.version,
          epoch: statement.epoch,
          sequence: statement.sequence,
          contentHash: statement.contentHash,
          schemaVersion: index.content.schemaVersion,
          generatedAt: issuedAt,
          snapshotTimestamp: issuedAt,
          freshnessWindowSeconds: index.content.freshnessWindowSeconds,
          maxOfflineSeconds: index.content.maxOfflineSeconds,
          minSequence: statement.minSequence,
          signingKeyFingerprint: active.keyId,
        },
      },
    },
    { fieldManager: FIELD_MANAGERS.agent, force: true },
  );
  // A renewal leaves content as it is.
  if (changed) await dropOtherContent(parts, chunks);
}

/** Who wrote a mirror; empty when that is not said. */
export function mirroredBy({ metadata }: PermissionSnapshot): string {
  return metadata.annotations?.[MIRRORED_BY] ?? "";
}

/**
 * The content bytes of a mirror, inline or in chunks. They prove nothing: the statement names their hash.
 *
 * @throws SnapshotRefused `INVALID_CONTENT` when a part is missing; ApiStatusError
 */
export async function mirroredContent(cluster: Cluster, { spec }: PermissionSnapshot): Promise<Uint8Array> {
  const chunks = spec.contentRef?.chunks;
  if (chunks === undefined || chunks.length === 0)
    return Buffer.from(canonicalJson(Object.fromEntries(CONTENT_MEMBERS.map((name) => [name, inline(spec, name)]))));
  const parts: Uint8Array[] = [];
  for (const { name } of parseChunkList(JSON.stringify(chunks), spec.targetCluster) ?? []) {
    const held = await ifPresent(cluster.get(ConfigMap, { namespace: NAMESPACES.ont, name }));
    const chunk = held?.binaryData?.[CHUNK];
    if (chunk === undefined) throw new SnapshotRefused("INVALID_CONTENT", `part ${name} of the mirror is missing`);
    parts.push(Buffer.from(chunk, "base64"));
  }
  return Buffer.concat(parts);
}

/** A member of the content as it stands in the spec of a mirror. */
function inline(spec: PermissionSnapshot["spec"], name: (typeof CONTENT_MEMBERS)[number]): JsonValue {
  // An object of the API server is JSON.
  return (spec[name] ?? (name === "ceilings" ? {} : [])) as JsonValue;
}

const CHUNK = "chunk";

/** Writes content that is too large for the object, unless the mirror has it already: a renewal writes nothing of it. */
async function mirrorContent(
  { cluster, clusterId }: SnapshotParts,
  { contentHash }: ActiveSnapshot["statement"],
  readContent: () => Promise<Uint8Array>,
): Promise<readonly ContentChunk[]> {
  const key = { namespace: NAMESPACES.ont, name: snapshotName(clusterId) };
  const held = await ifPresent(cluster.get(PermissionSnapshot, key));
  if (held?.spec.contentHash === contentHash && held.spec.contentRef !== undefined)
    return parseChunkList(JSON.stringify(held.spec.contentRef.chunks), clusterId) ?? [];
  const chunks: ContentChunk[] = [];
  for (const { data, ...chunk } of chunksOf(
    clusterId,
    hash12(contentHash),
    await readContent(),
    MAX_INLINE_CONTENT_BYTES,
  )) {
    await cluster.patch(
      ConfigMap,
      { namespace: NAMESPACES.ont, name: chunk.name },
      {
        type: "apply",
        body: {
          apiVersion: "v1",
          kind: "ConfigMap",
          metadata: {
            namespace: NAMESPACES.ont,
            name: chunk.name,
            labels: { [LABELS.snapshotType]: MIRRORED_CONTENT },
          },
          binaryData: { [CHUNK]: Buffer.from(data).toString("base64") },
        },
      },
      { fieldManager: FIELD_MANAGERS.agent, force: true },
    );
    chunks.push(chunk);
  }
  return chunks;
}

/** Content of earlier versions, once the mirror names it no more. */
async function dropOtherContent({ cluster }: SnapshotParts, chunks: readonly ContentChunk[]): Promise<void> {
  const { items } = await cluster.list(ConfigMap, {
    namespace: NAMESPACES.ont,
    labelSelector: `${LABELS.snapshotType}=${MIRRORED_CONTENT}`,
  });
  const named = new Set(chunks.map(({ name }) => name));
  for (const { metadata } of items)
    if (!named.has(metadata.name))
      await ifPresent(cluster.delete(ConfigMap, { namespace: NAMESPACES.ont, name: metadata.name }));
}

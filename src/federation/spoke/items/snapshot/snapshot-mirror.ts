import { PermissionSnapshot } from "../../../../api/kinds/permission-snapshot.ts";
import { FIELD_MANAGERS, LABELS, NAMESPACES, snapshotName } from "../../../../api/names.ts";
import { rfc3339Seconds } from "../../../../base/clock.ts";
import { contentToJson } from "../../../../permissions/snapshot/content.ts";
import { MAX_INLINE_CONTENT_BYTES } from "../../../../permissions/snapshot/limits.ts";
import type { ActiveSnapshot } from "../../../../permissions/store/active-snapshot.ts";
import type { SnapshotParts } from "./snapshot-parts.ts";

/** Annotation with the signed envelope (JSON form): whoever reads the mirror verifies it again. */
export const ENVELOPE_ANNOTATION = "seam.ontai.dev/snapshot-envelope";
/** Rules and bindings above which content is too large for an object in any case. */
const MAX_INLINE_ENTRIES = 10_000;
/** Value of the snapshot-type label of a mirror. */
const MIRRORED = "mirrored";

/**
 * Writes the local mirror `PermissionSnapshot/snapshot-{cluster}` in `ont-system`: header and envelope always, content while
 * it is small enough for an object. Nothing on this cluster trusts it without verifying the envelope.
 */
export async function mirrorSnapshot(
  parts: SnapshotParts,
  active: ActiveSnapshot,
  envelope: Uint8Array,
): Promise<void> {
  const { statement, index } = active;
  const key = { namespace: NAMESPACES.ont, name: snapshotName(parts.clusterId) };
  // Counted before it is written out: turning tens of megabytes into text would hold the event loop.
  const few = index.sizes.rules + index.sizes.bindings <= MAX_INLINE_ENTRIES;
  const content = few ? contentToJson(index.content) : {};
  const small = few && JSON.stringify(content).length <= MAX_INLINE_CONTENT_BYTES;
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
          annotations: { [ENVELOPE_ANNOTATION]: Buffer.from(envelope).toString() },
        },
        spec: {
          ...(small ? content : {}),
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
}

import { PermissionSnapshot } from "../../api/kinds/permission-snapshot.ts";
import { ANNOTATIONS, FIELD_MANAGERS, LABELS, NAMESPACES, snapshotName } from "../../api/names.ts";
import { type Clock, rfc3339Seconds } from "../../base/clock.ts";
import { canonicalJson } from "../../base/canonical-json.ts";
import { sha256Hex } from "../../base/digest.ts";
import type { JsonObject } from "../../base/json.ts";
import type { Cluster } from "../../cluster/cluster.ts";
import { applyStatus } from "../../controller/status.ts";
import type { ComputedContent } from "../../permissions/builder/computed-content.ts";
import type { ContentChunk } from "../../permissions/snapshot/content-chunks.ts";
import { SNAPSHOT_SCHEMA_VERSION } from "../../permissions/snapshot/limits.ts";
import type { SnapshotStatement } from "../../permissions/snapshot/statement.ts";
import { type SignedEnvelope, shortKeyId } from "../../trust/dsse.ts";
import { deliveryState } from "./delivery-overdue.ts";

/** A statement with everything that the object shows of it. */
export interface PublishedSnapshot {
  readonly computed: ComputedContent;
  readonly statement: SnapshotStatement;
  readonly envelope: SignedEnvelope;
  /** Empty when the content stands inline. */
  readonly chunks: readonly ContentChunk[];
}

function specOf({ computed, statement, chunks }: PublishedSnapshot, generatedAt: string): JsonObject {
  const { cluster: targetCluster, contentHash, freshnessWindowSeconds, maxOfflineSeconds } = computed;
  const header = {
    targetCluster,
    version: statement.version,
    epoch: statement.epoch,
    sequence: statement.sequence,
    contentHash,
    schemaVersion: SNAPSHOT_SCHEMA_VERSION,
    generatedAt,
    snapshotTimestamp: generatedAt,
    freshnessWindowSeconds,
    maxOfflineSeconds,
    minSequence: statement.minSequence,
  };
  if (chunks.length > 0) return { ...header, contentRef: { chunks: chunks.map((chunk) => ({ ...chunk })) } };
  return { ...header, ...(JSON.parse(computed.text) as JsonObject) };
}

/** Annotations of: they show the signature, and nobody trusts them. */
function annotationsOf({ envelope }: PublishedSnapshot): Record<string, string> {
  const [first] = envelope.signatures;
  const signature = Buffer.from(first?.signature ?? new Uint8Array()).toString("base64");
  return {
    [ANNOTATIONS.managementSignature]: signature,
    [ANNOTATIONS.snapshotSignature]: signature,
    [ANNOTATIONS.managementSpecHash]: sha256Hex(envelope.body),
    [ANNOTATIONS.signingKeyId]: shortKeyId(first?.keyId ?? ""),
  };
}

/**
 * Writes spec and annotations of `PermissionSnapshot/snapshot-{cluster}`; sends nothing that already stands there. It goes before the
 * signed Secret, so that a quick tenant never acknowledges a version which the object does not name yet.
 */
export async function writeSnapshotObject(
  cluster: Cluster,
  existing: PermissionSnapshot | undefined,
  published: PublishedSnapshot,
): Promise<PermissionSnapshot> {
  const { statement, computed } = published;
  const tenant = computed.cluster;
  const key = { namespace: NAMESPACES.seam, name: snapshotName(tenant) };
  const sameVersion =
    existing?.spec.version === statement.version && existing.spec.contentHash === computed.contentHash;
  const generatedAt =
    (sameVersion ? existing.spec.snapshotTimestamp : undefined) ?? rfc3339Seconds(statement.issuedAtMs);
  const annotations = annotationsOf(published);
  const shown = existing?.metadata.annotations?.[ANNOTATIONS.managementSpecHash];
  const spec = specOf(published, generatedAt);
  if (existing !== undefined && shown === annotations[ANNOTATIONS.managementSpecHash] && says(existing, spec))
    return existing;
  return cluster.patch(
    PermissionSnapshot,
    key,
    {
      type: "apply",
      body: {
        apiVersion: "guardian.ontai.dev/v1alpha1",
        kind: "PermissionSnapshot",
        metadata: { ...key, labels: { [LABELS.cluster]: tenant }, annotations },
        spec,
      },
    },
    { fieldManager: FIELD_MANAGERS.permissionEngine, force: true },
  );
}

/** True when nobody has written anything else into it: the object is machine-written, and put right as soon as it is seen (permissions §15). */
function says(existing: PermissionSnapshot, wanted: JsonObject): boolean {
  const held = JSON.parse(JSON.stringify(existing.spec)) as JsonObject;
  const own = Object.fromEntries(Object.keys(wanted).map((name) => [name, held[name] ?? null]));
  return canonicalJson(own) === canonicalJson(wanted);
}

/** Writes the signer's part of the status; after the signed Secret, because only then the version is signed. */
export async function writeSnapshotStatus(
  parts: { readonly cluster: Cluster; readonly clock: Clock },
  object: PermissionSnapshot,
  { statement }: PublishedSnapshot,
): Promise<void> {
  const fresh = parts.clock.now() <= statement.freshUntilMs;
  await applyStatus(
    parts,
    PermissionSnapshot,
    object,
    {
      fields: {
        expectedVersion: statement.version,
        signed: true,
        signedVersion: statement.version,
        signingKeyID: shortKeyId(statement.keyId),
        issuedAt: rfc3339Seconds(statement.issuedAtMs),
        freshUntil: rfc3339Seconds(statement.freshUntilMs),
        expiresAt: rfc3339Seconds(statement.expiresAtMs),
      },
      conditions: [
        {
          type: "Fresh",
          status: fresh ? "True" : "False",
          reason: fresh ? "SnapshotFresh" : "SnapshotStale",
          message: `statement of ${rfc3339Seconds(statement.issuedAtMs)}`,
          observedGeneration: object.metadata.generation ?? 0,
        },
        deliveryState(object, parts.clock.now()).condition,
      ],
    },
    FIELD_MANAGERS.signer,
  );
}

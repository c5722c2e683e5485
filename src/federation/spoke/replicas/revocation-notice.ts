import { ConfigMap, type ConfigMapObject } from "../../../api/builtin.ts";
import { FIELD_MANAGERS, LABELS, NAMESPACES } from "../../../api/names.ts";
import type { Cluster } from "../../../cluster/cluster.ts";
import { SeamError } from "../../../base/errors.ts";
import { type KeyLookup, PAYLOAD_TYPES, decodeEnvelope, verifyEnvelope } from "../../../trust/dsse.ts";
import { parseIndex } from "../../index/parse-index.ts";
import { verifySignedRevocation } from "../../revocation/verify-revocation.ts";

/** Value of the snapshot-type label of notices: one watch finds them. */
export const REVOCATIONS_TYPE = "revocations";
/** Largest envelope that fits an object, bytes; base64 and the rest of the object come on top. */
const MAX_NOTICE_BYTES = 700 * 1024;
const KEY = "envelope";

/** What proves a floor of the permission snapshot: a signed revocation, or a signed index that names it. */
export interface FloorNotice {
  readonly kind: "revocation" | "index";
  /** Signed envelope, JSON form. */
  readonly envelope: Uint8Array;
}

const NAMES: Readonly<Record<FloorNotice["kind"], string>> = {
  revocation: "conductor-revocations",
  index: "conductor-revocations-index",
};

/**
 * Writes a proof down for the replicas that hold no stream, durably.
 *
 * @throws SeamError `NoticeTooLarge`; ApiStatusError when the API server does not take it
 */
export async function noticeFloor(cluster: Cluster, { kind, envelope }: FloorNotice): Promise<void> {
  const key = { namespace: NAMESPACES.ont, name: NAMES[kind] };
  if (envelope.length > MAX_NOTICE_BYTES)
    throw new SeamError({
      reason: "NoticeTooLarge",
      object: `ConfigMap ${key.name}`,
      expected: `at most ${MAX_NOTICE_BYTES} bytes, found ${envelope.length}`,
      remedy: "none is needed: followers hear of the floor with the next snapshot",
    });
  await cluster.patch(
    ConfigMap,
    key,
    {
      type: "apply",
      body: {
        apiVersion: "v1",
        kind: "ConfigMap",
        metadata: { ...key, labels: { [LABELS.snapshotType]: REVOCATIONS_TYPE } },
        binaryData: { [KEY]: Buffer.from(envelope).toString("base64") },
      },
    },
    { fieldManager: FIELD_MANAGERS.agent, force: true },
  );
}

/** The floor that an object proves; undefined for anything that no trusted key signed for this cluster. */
export function noticedFloor(
  { metadata, binaryData }: ConfigMapObject,
  clusterId: string,
  keys: KeyLookup,
): number | undefined {
  const encoded = binaryData?.[KEY];
  if (encoded === undefined) return undefined;
  const envelope = Buffer.from(encoded, "base64");
  switch (metadata.name) {
    case NAMES.revocation: {
      const verdict = verifySignedRevocation(envelope, clusterId, keys);
      return verdict.ok && verdict.revocation.target !== "PackInstalled" ? verdict.revocation.minSequence : undefined;
    }
    case NAMES.index: {
      const signed = decodeEnvelope(envelope);
      if (signed === undefined || !verifyEnvelope(signed, PAYLOAD_TYPES.index, keys).ok) return undefined;
      // Floors only rise: an older index proves no more than an older floor.
      const parsed = parseIndex(signed.body);
      if (!parsed.ok || parsed.document.cluster !== clusterId) return undefined;
      const floors = parsed.document.revocations.filter(({ target }) => target !== "PackInstalled");
      return Math.max(0, ...floors.map(({ floor }) => floor));
    }
    default:
      return undefined;
  }
}

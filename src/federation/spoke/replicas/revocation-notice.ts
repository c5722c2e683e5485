import { ConfigMap, type ConfigMapObject } from "../../../api/builtin.ts";
import { FIELD_MANAGERS, LABELS, NAMESPACES } from "../../../api/names.ts";
import type { Cluster } from "../../../cluster/cluster.ts";
import type { KeyLookup } from "../../../trust/dsse.ts";
import type { RevocationBody } from "../../revocation/revocation-body.ts";
import { verifySignedRevocation } from "../../revocation/verify-revocation.ts";

/** ConfigMap with the newest signed revocation of the permission snapshot, for the replicas that hold no stream. */
export const REVOCATIONS_NAME = "conductor-revocations";
/** Value of the snapshot-type label of {@link REVOCATIONS_NAME}: one watch finds it. */
export const REVOCATIONS_TYPE = "revocations";
const KEY = "permission-snapshot";

/** Writes a signed revocation down, durably. @throws ApiStatusError when the API server does not take it */
export async function noticeRevocation(cluster: Cluster, envelope: Uint8Array): Promise<void> {
  const key = { namespace: NAMESPACES.ont, name: REVOCATIONS_NAME };
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

/** The revocation that stands in an object; undefined for anything that no trusted key signed for this cluster. */
export function noticedRevocation(
  { metadata, binaryData }: ConfigMapObject,
  clusterId: string,
  keys: KeyLookup,
): RevocationBody | undefined {
  const encoded = binaryData?.[KEY];
  if (metadata.name !== REVOCATIONS_NAME || encoded === undefined) return undefined;
  const verdict = verifySignedRevocation(Buffer.from(encoded, "base64"), clusterId, keys);
  return verdict.ok ? verdict.revocation : undefined;
}

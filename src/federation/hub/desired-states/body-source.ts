import { Secret } from "../../../api/builtin.ts";
import {
  GOVERNANCE_SECRET_PREFIX,
  correctionSecretName,
  signedPackSecretName,
  signedSnapshotSecretName,
  tenantNamespace,
  tombstoneSecretName,
} from "../../../api/names.ts";
import { type Digest, digestOf } from "../../../base/digest.ts";
import { isStatus } from "../../../cluster/api-status-error.ts";
import type { Cluster } from "../../../cluster/cluster.ts";
import type { PackBlobReader } from "../../../packs/artifact/pack-blob-reader.ts";
import { parseChunkList } from "../../../permissions/snapshot/content-chunks.ts";
import type { BlobRef, IndexDocument, IndexItem } from "../../index/index-document.ts";

/** Where the body of one digest of an index lies. */
export type BodyPlace =
  | { readonly from: "secret"; readonly name: string; readonly key: string; readonly size: number }
  | { readonly from: "packs"; readonly size: number };

/** Every digest an index names, with its place: what its tenant may fetch, and nothing else. */
export function bodyPlaces(index: IndexDocument): ReadonlyMap<string, BodyPlace> {
  const places = new Map<string, BodyPlace>();
  for (const item of index.items) {
    for (const ref of item.refs ?? []) places.set(ref.digest, refPlace(index.cluster, item, ref));
    if (item.digest !== "") places.set(item.digest, itemPlace(index.cluster, item));
  }
  return places;
}

function itemPlace(cluster: string, item: IndexItem): BodyPlace {
  const secret = (name: string): BodyPlace => ({ from: "secret", name, key: "envelope", size: item.size });
  switch (item.kind) {
    case "PackInstalled":
      return secret(item.deleted === true ? tombstoneSecretName(item.name) : signedPackSecretName(cluster, item.name));
    case "PermissionSnapshot":
      return secret(signedSnapshotSecretName(cluster));
    case "Correction":
      return secret(correctionSecretName(item.name));
    case "Governance":
      return secret(GOVERNANCE_SECRET_PREFIX + item.name);
  }
}

function refPlace(cluster: string, item: IndexItem, ref: BlobRef): BodyPlace {
  return item.kind === "PermissionSnapshot"
    ? { from: "secret", name: signedSnapshotSecretName(cluster), key: "content", size: ref.size }
    : { from: "packs", size: ref.size };
}

/**
 * Reads one body; undefined when it is not at hand: no such Secret, or the Secret already holds the body of a newer index. Bytes of
 * the pack store are checked by the store.
 *
 * @throws what the cluster or the pack store refuses otherwise
 */
export async function readBody(
  parts: { readonly cluster: Cluster; readonly packs: PackBlobReader },
  cluster: string,
  digest: Digest,
  place: BodyPlace,
): Promise<Uint8Array | undefined> {
  if (place.from === "packs") return parts.packs.get(digest, place.size);
  try {
    const secret = await parts.cluster.get(Secret, { namespace: tenantNamespace(cluster), name: place.name });
    const encoded = secret.data?.[place.key];
    const chunks = secret.data?.["chunks"];
    if (encoded === undefined && (place.key !== "content" || chunks === undefined)) return undefined;
    const body =
      encoded === undefined
        ? await readChunks(parts.cluster, cluster, Buffer.from(chunks ?? "", "base64").toString())
        : Buffer.from(encoded, "base64");
    return body !== undefined && digestOf(body) === digest ? body : undefined;
  } catch (error) {
    if (isStatus(error, "NotFound")) return undefined;
    throw error;
  }
}

/** Content that is too large for one Secret, put together. A chunk that is gone throws NotFound like the Secret itself. */
async function readChunks(cluster: Cluster, tenant: string, list: string): Promise<Uint8Array | undefined> {
  const chunks = parseChunkList(list, tenant);
  if (chunks === undefined) return undefined;
  const namespace = tenantNamespace(tenant);
  const secrets = await Promise.all(chunks.map(({ name }) => cluster.get(Secret, { namespace, name })));
  return Buffer.concat(secrets.map(({ data }) => Buffer.from(data?.["chunk"] ?? "", "base64")));
}

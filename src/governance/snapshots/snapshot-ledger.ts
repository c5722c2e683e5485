import { ConfigMap, type ConfigMapObject } from "../../api/builtin.ts";
import { FIELD_MANAGERS, tenantNamespace } from "../../api/names.ts";
import { type Digest, isDigest } from "../../base/digest.ts";
import { SeamError } from "../../base/errors.ts";
import { isStatus } from "../../cluster/api-status-error.ts";
import type { Cluster } from "../../cluster/cluster.ts";
import type { SnapshotPosition } from "../../permissions/snapshot/snapshot-version.ts";

/** ConfigMap in the tenant namespace: the last position that was given out, with its content. Outlives Secret and snapshot object. */
export const SNAPSHOT_LEDGER = "permission-snapshot-ledger";

/** A position and the content it stands for. */
export interface LedgerEntry extends SnapshotPosition {
  readonly contentHash: Digest | "";
}

/** The ledger as it is stored. */
export interface StoredLedger {
  readonly object: ConfigMapObject | undefined;
  readonly entry: LedgerEntry | undefined;
}

/**
 * Reads the ledger of a tenant from the server.
 *
 * @throws SeamError `SnapshotLedgerInvalid`: positions must never go back, so a person decides
 */
export async function readLedger(cluster: Cluster, tenant: string): Promise<StoredLedger> {
  let object: ConfigMapObject;
  try {
    object = await cluster.get(ConfigMap, { namespace: tenantNamespace(tenant), name: SNAPSHOT_LEDGER });
  } catch (error) {
    if (isStatus(error, "NotFound")) return { object: undefined, entry: undefined };
    throw error;
  }
  const { epoch = "", sequence = "", contentHash = "" } = object.data ?? {};
  const entry = { epoch: counter(object, "epoch", epoch), sequence: counter(object, "sequence", sequence) };
  if (contentHash !== "" && !isDigest(contentHash)) throw invalid(object, "contentHash", "a digest");
  return { object, entry: { ...entry, contentHash } };
}

/**
 * Gives out a position: durable before anything is signed with it, conditional on what was read.
 *
 * @throws ApiStatusError 409 when another writer was quicker
 */
export async function writeLedger(
  cluster: Cluster,
  tenant: string,
  stored: StoredLedger,
  entry: LedgerEntry,
): Promise<void> {
  const options = { fieldManager: FIELD_MANAGERS.signer };
  const data = {
    epoch: String(entry.epoch),
    sequence: String(entry.sequence),
    contentHash: entry.contentHash,
  };
  if (stored.object === undefined) {
    const metadata = { namespace: tenantNamespace(tenant), name: SNAPSHOT_LEDGER };
    await cluster.create(ConfigMap, { apiVersion: "v1", kind: "ConfigMap", metadata, data }, options);
  } else await cluster.update(ConfigMap, { ...stored.object, data }, options);
}

function counter(object: ConfigMapObject, field: string, text: string): number {
  const value = Number(text);
  if (text === "" || !Number.isSafeInteger(value) || value < 0) throw invalid(object, field, "a positive integer");
  return value;
}

function invalid(object: ConfigMapObject, field: string, expected: string): SeamError {
  return new SeamError({
    reason: "SnapshotLedgerInvalid",
    object: `ConfigMap ${object.metadata.namespace ?? ""}/${object.metadata.name}`,
    field: `data.${field}`,
    expected: `${expected}, found ${JSON.stringify(object.data?.[field])}`,
    remedy: "restore it from a backup, or delete it together with the signed Secret to begin a new epoch",
  });
}

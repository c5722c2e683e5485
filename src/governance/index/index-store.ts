import { SeamError } from "../../base/errors.ts";
import { isJsonObject } from "../../base/json.ts";
import { ConfigMap, type ConfigMapObject, Secret, type SecretObject } from "../../api/builtin.ts";
import { FIELD_MANAGERS, LABELS, SECRET_NAMES, SECRET_TYPES, tenantNamespace } from "../../api/names.ts";
import { ifPresent } from "../../cluster/if-present.ts";
import type { Cluster } from "../../cluster/cluster.ts";
import type { IndexDocument } from "../../federation/index/index-document.ts";
import { parseIndex } from "../../federation/index/parse-index.ts";
import { type KeyLookup, PAYLOAD_TYPES, type SignedEnvelope, encodeEnvelope } from "../../trust/dsse.ts";
import { MAX_SECRET_BYTES, verifiedBody } from "../signing/signed-secret.ts";
import type { IndexPosition } from "./next-index.ts";

/** Annotations for people who look at the Secret. */
const POSITION_ANNOTATION = "seam.ontai.dev/index-position";

/** What is stored of a tenant's index. */
export interface StoredIndex {
  readonly secret: SecretObject | undefined;
  readonly ledger: ConfigMapObject | undefined;
  /** The current index, verified; undefined when it is missing or does not verify. */
  readonly document: IndexDocument | undefined;
  /** Numbering from the ledger and the verified index, whichever is further; undefined when both are lost. */
  readonly position: IndexPosition | undefined;
  /** Why a Secret that is there was not used. */
  readonly problem: string | undefined;
}

/**
 * Reads what is stored for a tenant, from the server and not from a cache: the numbering depends on it.
 *
 * @throws SeamError `IndexLedgerInvalid` when the ledger cannot be read as what it should be
 */
export async function readStoredIndex(cluster: Cluster, tenant: string, keys: KeyLookup): Promise<StoredIndex> {
  const namespace = tenantNamespace(tenant);
  const [secret, ledger] = await Promise.all([
    ifPresent(cluster.get(Secret, { namespace, name: SECRET_NAMES.federationIndex })),
    ifPresent(cluster.get(ConfigMap, { namespace, name: SECRET_NAMES.federationIndexLedger })),
  ]);
  const read = secret === undefined ? undefined : readSecret(secret, tenant, keys);
  const document = typeof read === "string" ? undefined : read;
  const written = ledger === undefined ? undefined : readLedger(ledger);
  return {
    secret,
    ledger,
    document,
    position: furthest(written, document),
    problem: typeof read === "string" ? read : undefined,
  };
}

/**
 * Stores the next index: first the numbering, so that a crash between the two skips a number and never uses one twice, then the
 * index. Both writes are conditional on what was read.
 *
 * @throws ApiStatusError 409 when another writer was quicker
 */
export async function writeIndex(
  cluster: Cluster,
  tenant: string,
  stored: StoredIndex,
  next: { readonly position: IndexPosition; readonly envelope: SignedEnvelope },
): Promise<void> {
  const namespace = tenantNamespace(tenant);
  const options = { fieldManager: FIELD_MANAGERS.indexBuilder };
  const labels = { [LABELS.cluster]: tenant };
  const { epoch, sequence, tombstones } = next.position;
  const ledger: ConfigMapObject = {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { ...stored.ledger?.metadata, namespace, name: SECRET_NAMES.federationIndexLedger, labels },
    data: { epoch: String(epoch), sequence: String(sequence), tombstones: JSON.stringify(tombstones) },
  };
  await (stored.ledger === undefined
    ? cluster.create(ConfigMap, ledger, options)
    : cluster.update(ConfigMap, ledger, options));
  const bytes = encodeEnvelope(next.envelope);
  if (bytes.length > MAX_SECRET_BYTES)
    throw new SeamError({
      reason: "IndexTooLarge",
      object: `federation index of ${tenant}`,
      expected: `its envelope has at most ${MAX_SECRET_BYTES} bytes, found ${bytes.length}`,
      remedy:
        "deliver fewer packs to this cluster or join them; what was removed counts until its agent has said so: bring the agent back, or delete the TalosCluster when it is gone",
    });
  const secret: SecretObject = {
    apiVersion: "v1",
    kind: "Secret",
    type: SECRET_TYPES.federationIndex,
    metadata: {
      ...stored.secret?.metadata,
      namespace,
      name: SECRET_NAMES.federationIndex,
      labels,
      annotations: { [POSITION_ANNOTATION]: `${epoch}/${sequence}` },
    },
    data: { envelope: Buffer.from(bytes).toString("base64") },
  };
  await (stored.secret === undefined
    ? cluster.create(Secret, secret, options)
    : cluster.update(Secret, secret, options));
}

function readSecret(secret: SecretObject, tenant: string, keys: KeyLookup): IndexDocument | string {
  const verified = verifiedBody(secret, PAYLOAD_TYPES.index, keys);
  if (verified === undefined) return "the stored index does not verify";
  const parsed = parseIndex(verified.body);
  if (!parsed.ok) return `the stored index breaks its format at ${parsed.field}: expected ${parsed.expected}`;
  if (parsed.document.cluster !== tenant) return `the stored index is for cluster ${parsed.document.cluster}`;
  return parsed.document;
}

function readLedger(ledger: ConfigMapObject): IndexPosition {
  const { epoch, sequence, tombstones } = ledger.data ?? {};
  return {
    epoch: integer(ledger, "epoch", epoch),
    sequence: integer(ledger, "sequence", sequence),
    tombstones: readTombstones(ledger, tombstones ?? "{}"),
  };
}

function integer(ledger: ConfigMapObject, field: string, text: string | undefined): number {
  const value = Number(text);
  if (text === undefined || !Number.isSafeInteger(value) || value < 0)
    throw invalid(ledger, field, `an integer, found ${JSON.stringify(text)}`);
  return value;
}

function readTombstones(ledger: ConfigMapObject, text: string): Readonly<Record<string, number>> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw invalid(ledger, "tombstones", "a JSON object");
  }
  if (!isJsonObject(value)) throw invalid(ledger, "tombstones", "a JSON object");
  return Object.fromEntries(
    Object.entries(value).filter((entry): entry is [string, number] => typeof entry[1] === "number"),
  );
}

function invalid(ledger: ConfigMapObject, field: string, expected: string): SeamError {
  return new SeamError({
    reason: "IndexLedgerInvalid",
    object: `ConfigMap ${ledger.metadata.namespace ?? ""}/${ledger.metadata.name}`,
    field: `data.${field}`,
    expected,
    remedy:
      "restore the ConfigMap from a backup, or delete it together with the federation-index Secret to begin a new epoch",
  });
}

function furthest(ledger: IndexPosition | undefined, document: IndexDocument | undefined): IndexPosition | undefined {
  if (document === undefined) return ledger;
  const inIndex = { epoch: document.epoch, sequence: document.sequence, tombstones: ledger?.tombstones ?? {} };
  if (ledger === undefined || document.epoch > ledger.epoch) return inIndex;
  return ledger.epoch === document.epoch && document.sequence > ledger.sequence ? inIndex : ledger;
}

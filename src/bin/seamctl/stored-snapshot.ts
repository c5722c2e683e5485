import { readFile } from "node:fs/promises";
import { Secret } from "../../api/builtin.ts";
import { PermissionSnapshot } from "../../api/kinds/permission-snapshot.ts";
import { NAMESPACES, isClusterName, snapshotName, tenantNamespace } from "../../api/names.ts";
import { canonicalJson } from "../../base/canonical-json.ts";
import { sha256Hex } from "../../base/digest.ts";
import { SeamError, errorMessage } from "../../base/errors.ts";
import { type JsonObject, isJsonObject } from "../../base/json.ts";
import { isStatus } from "../../cluster/api-status-error.ts";
import type { Cluster } from "../../cluster/cluster.ts";
import { type SnapshotContent, contentToJson } from "../../permissions/snapshot/content.ts";
import { loadContent } from "../../permissions/snapshot/load-content.ts";
import { CONTENT_MEMBERS } from "../../permissions/snapshot/parse-content.ts";

/** Members of `spec` that are hashed. */
const HASHED: ReadonlySet<string> = new Set(CONTENT_MEMBERS);

/** A snapshot as a person looks at it. */
export interface StoredSnapshotView {
  readonly cluster: string;
  readonly version: string;
  readonly contentHash: string;
  /** Checked against the content hash. */
  readonly content: SnapshotContent;
  /** The object; undefined for one that was read from a file. */
  readonly object: PermissionSnapshot | undefined;
}

/**
 * Reads the snapshot of a cluster from the management cluster, chunks included, and checks its content against its hash.
 *
 * @throws SeamError `SnapshotNotFound` or `SnapshotUnreadable`
 */
export async function readStoredSnapshot(cluster: Cluster, tenant: string): Promise<StoredSnapshotView> {
  const key = { namespace: NAMESPACES.seam, name: snapshotName(tenant) };
  const object = await cluster.get(PermissionSnapshot, key).catch((cause: unknown) => {
    if (!isStatus(cause, "NotFound")) throw cause;
    throw new SeamError(
      {
        reason: "SnapshotNotFound",
        object: `PermissionSnapshot ${key.namespace}/${key.name}`,
        expected: "does not exist",
        remedy: "name a governed cluster; kubectl get permissionsnapshots -A lists them",
      },
      { cause },
    );
  });
  const { version, contentHash = "", contentRef } = object.spec;
  const bytes =
    contentRef === undefined ? inlineContent(object) : await chunkedContent(cluster, tenant, contentRef.chunks);
  return { cluster: tenant, version, contentHash, content: checked(bytes, contentHash, object.metadata.name), object };
}

function inlineContent({ spec }: PermissionSnapshot): Uint8Array {
  const members = JSON.parse(JSON.stringify(spec)) as JsonObject;
  const content = Object.fromEntries(Object.entries(members).filter(([name]) => HASHED.has(name)));
  return Buffer.from(canonicalJson(content));
}

async function chunkedContent(
  cluster: Cluster,
  tenant: string,
  chunks: readonly { readonly name: string; readonly sha256: string }[],
): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for (const { name, sha256 } of chunks) {
    const secret = await cluster.get(Secret, { namespace: tenantNamespace(tenant), name });
    const part = Buffer.from(secret.data?.["chunk"] ?? "", "base64");
    if (sha256Hex(part) !== sha256)
      throw unreadable(`Secret ${tenantNamespace(tenant)}/${name}`, "is not the chunk the snapshot names");
    parts.push(part);
  }
  return Buffer.concat(parts);
}

/** Reads what `snapshot show -o json` printed. @throws SeamError `SnapshotUnreadable` */
export async function readSnapshotFile(file: string): Promise<StoredSnapshotView> {
  let value: unknown;
  try {
    value = JSON.parse(await readFile(file, "utf8"));
  } catch (cause) {
    throw unreadable(file, `must be what \`snapshot show -o json\` printed (${errorMessage(cause)})`);
  }
  if (!isJsonObject(value) || !isJsonObject(value["content"]))
    throw unreadable(file, "must be what `snapshot show -o json` printed, found no member content");
  const { cluster, version, contentHash, content } = value;
  if (typeof cluster !== "string" || typeof version !== "string" || typeof contentHash !== "string")
    throw unreadable(file, "must be what `snapshot show -o json` printed, found no cluster, version or contentHash");
  const bytes = Buffer.from(canonicalJson(content));
  return { cluster, version, contentHash, content: checked(bytes, contentHash, file), object: undefined };
}

/** What `snapshot show -o json` prints. */
export function snapshotJson({ cluster, version, contentHash, content }: StoredSnapshotView): JsonObject {
  return { cluster, version, contentHash, content: contentToJson(content) };
}

/** True for an argument that names a file and not a cluster. */
export function namesFile(argument: string): boolean {
  return argument.includes("/") || argument.endsWith(".json") || !isClusterName(argument);
}

function checked(bytes: Uint8Array, contentHash: string, object: string): SnapshotContent {
  try {
    return loadContent(bytes, contentHash);
  } catch (cause) {
    throw unreadable(object, `holds content that is not what its hash names (${errorMessage(cause)})`);
  }
}

function unreadable(object: string, expected: string): SeamError {
  return new SeamError({
    reason: "SnapshotUnreadable",
    object,
    expected,
    remedy: "what tenants hold is signed and unharmed; the object is written anew with the next change or renewal",
  });
}
